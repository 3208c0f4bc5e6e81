"""Watched: a listener that keeps what happened at every site of a spec, and `moment`: what happened to one element there.

A moment says what went in, what came out, and why: which bits were discarded, whether they were a tie, whether a clip or a
register changed the value.
"""
import numpy as np

from refq.ints.sites import Sites
from refq.vectors.events import half_divided, half_shifted


class Watched(Sites):
    """Keeps (site, kind, word, before, by, after, width) of every site that is passed, in order, in `seen`. `kind`: register,
    shift, divide, nearest, clip or wrap; `by`: the shift or the divisor, None elsewhere."""

    def __init__(self):
        self.seen = []

    def keep(self, name, kind, before, after, width, word=None, by=None):
        self.seen.append((name, kind, word, before, by, after, width))
        return after

    def __call__(self, name, value, width):
        return self.keep(name, "register", value, value, width)

    def shift(self, name, word, x, s, width):
        return self.keep(name, "shift", x, plain.shift(name, word, x, s, width), width, word, s)

    def divide(self, name, word, x, d, width):
        return self.keep(name, "divide", x, plain.divide(name, word, x, d, width), width, word, d)

    def nearest(self, name, word, x, width):
        return self.keep(name, "nearest", x, plain.nearest(name, word, x, width), width, word)

    def clip(self, name, x, width):
        return self.keep(name, "clip", x, plain.clip(name, x, width), width)

    def wrap(self, name, x, width):
        return self.keep(name, "wrap", x, plain.wrap(name, x, width), width)


plain = Sites()


def element(value, index):
    """The element of a register that belongs to the result's element at `index`, as an int or a float; a register that has
    one value for a whole row gives that one."""
    value = np.asarray(value)
    place = tuple(i if size > 1 else 0 for i, size in zip(index[len(index) - value.ndim:], value.shape))
    return value[place].item()


def moment(seen, index):
    """What one thing seen says of the element at `index`, as plain values in JSON's kinds."""
    name, kind, word, before, by, after, width = seen
    before, after = element(before, index), element(after, index)
    by = None if by is None else element(by, index)
    found = {"site": name, "kind": kind, "word": word, "before": before, "by": by, "after": after, "width": str(width),
             "discarded": None, "tie": False, "saturated": kind == "clip" and before != after,
             "wrapped": kind == "wrap" and before != after, "overflow": not width.lo <= after <= width.hi, "why": ""}
    return found | {"shift": of_shift, "divide": of_division, "nearest": of_float, "clip": of_clip,
                    "wrap": of_wrap}.get(kind, of_register)(found, width)


def moments(seen, index):
    """The `moment` of the element at `index`; of a register with more axes than the result, one for each place along those."""
    name, *rest = seen
    extra = np.ndim(seen[5]) - len(index)
    if extra <= 0:
        yield moment(seen, index)
        return
    for place in np.ndindex(np.shape(seen[5])[-extra:]):
        part = (v[(..., *place)] if np.ndim(v) > len(index) else v for v in rest)
        yield moment((f"{name}[{', '.join(map(str, place))}]", *part), index)


def of_register(m, width):
    return {"why": f"{m['after']} does not fit {width}"} if m["overflow"] else {}


def of_clip(m, width):
    return {"why": f"{m['before']} saturates at {m['after']}: {width} holds {width.lo} to {width.hi}"} if m["saturated"] else {}


def of_wrap(m, width):
    return {"why": f"{m['before']} wraps to {m['after']}: {width} keeps {width.bits} bits"} if m["wrapped"] else {}


def of_shift(m, width):
    x, s = m["before"], m["by"]
    rest = x - ((x >> s) << s)
    return {"discarded": f"{rest:0{s}b}" if s else "", "tie": bool(half_shifted(np.int64(x), np.int64(s))),
            "why": rounded(m, x >> s, rest, 1 << s)}


def of_division(m, width):
    x, d = m["before"], m["by"]
    return {"tie": bool(half_divided(np.int64(x), np.int64(d))), "why": rounded(m, x // d, x % d, d)}


def of_float(m, width):
    x = m["before"]
    if not abs(x) < 2.0 ** 51:
        return {"saturated": True, "why": f"{x!r} saturates at {m['after']}"}
    floor = int(x // 1)
    clipped = m["after"] not in (floor, floor + 1)
    why = f"{x!r} saturates at {m['after']}" if clipped else rounded(m, floor, x - floor, 1)
    return {"tie": x - floor == 0.5, "saturated": clipped, "why": why}


def rounded(m, floor, rest, whole):
    """Why a rounding gave what it gave: `rest` of `whole` is discarded above `floor`."""
    if not rest:
        return "exact: nothing is lost"
    where = "a tie, exactly half" if 2 * rest == whole else "below half" if 2 * rest < whole else "above half"
    # a register that could not hold the rounded value shows neither the floor nor the next
    way = "down" if m["after"] == floor else "up"
    return f"{where}: {m['word']} goes {way} to {m['after']}"
