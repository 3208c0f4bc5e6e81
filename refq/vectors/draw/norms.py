"""Constants and codes of normalizations: rows whose quotients tie, at an eps that is made for them, and rows of all kinds.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py; `placed`: the main
operand of an operation of `OPS`; `ROWS`: those that make a result of a whole row.
"""
from functools import lru_cache

import numpy as np

from refq.ints import deviation
from refq.ints.inverse_root import multiplier
from refq.ints.width import I16, I32
from refq.vectors.draw.scales import order, pair
from refq.vectors.draw.stream import Stream

ROWS = ("layernorm_exact", "rms_norm", "l2_norm", "layernorm_lstm")
OPS = (*ROWS, "group_norm")
ROW = ({"rows": 5, "c": 33}, {"rows": 1, "c": 523}, {"rows": 9, "c": 3}, {"rows": 3, "c": 21}, {"rows": 5, "c": 7},
         {"rows": 1, "c": 47}, {"rows": 2, "c": 1}, {"rows": 3, "c": 4}, {"rows": 9, "c": 5}, {"rows": 1, "c": 39},
         {"rows": 9, "c": 8})
SIZES = {"layernorm_exact": ({"rows": 1, "c": 523}, *ROW), "rms_norm": ROW, "l2_norm": ROW,
         "layernorm_lstm": ({"rows": 1, "c": 331}, *ROW[2:], *ROW[:1], *ROW[-1:])}
GROUPS = ({"groups": 1}, {"groups": 3}, {"groups": 2}, {"groups": 5}, {"groups": 7}, {"groups": 1}, {"groups": 3})
PLACES = ({"rows": 1, "l": 131, "c": 4}, {"rows": 3, "l": 3, "c": 33}, {"rows": 2, "l": 3, "c": 4}, {"rows": 1, "l": 9, "c": 20},
          {"rows": 3, "l": 2, "c": 7}, {"rows": 2, "l": 1, "c": 47}, {"rows": 5, "l": 2, "c": 3})
"""Sizes of rows; and of group_norm its groups, and its sizes."""
RICH = (1717987, 6871948, 2120967, 8483868)
"""Sums of squares, the least ones, whose inverse root times 128 is a tie at bit 31 (refq.ints.inverse_root)."""


def small(count, row, zero):
    """Differences from the zero point of a row: a few around it, or beside it where it lies at an end."""
    d = np.arange(count) * 7 % 5 - 2
    return d if row.q.lo + 2 <= zero <= row.q.hi - 2 else np.abs(d) if zero < row.q.lo + 2 else -np.abs(d)


def quotients(d, centres):
    """(numbers that are divided, what they are divided by the root of) of a row, by definition."""
    count, total = len(d), d.sum() if centres else 0
    return count * d - total, int(count * (d * d).sum() - total ** 2)


def tying(row, count, zero, stream):
    """An eps beside which the row `small`, in whatever order, gives ties: the inverse of its root ends in as many zeros as one
    of its differences leaves of the shift; or None where there is none."""
    centres, f = hasattr(row, "accumulate"), int(deviation.fraction(row.reach(count)))
    x, v = quotients(small(count, row, zero), centres)
    if not x.any():
        return None
    least = x[x != 0][stream.integer(0, np.count_nonzero(x) - 1)]
    zeros = 31 + int(deviation.octaves(count)) - f - (int(least & -least).bit_length() - 1)
    if not 0 <= zeros <= 29:
        return None
    for _ in range(200):
        by = (2 * stream.integer(int(1.4142136 * 2 ** 30) >> zeros + 1, (1 << 31 - zeros) - 1 >> 1) + 1) << zeros
        root = (1 << 61) // by
        if (1 << 61) // root == by and 2 ** 30 <= root and 0 <= (found := root * root + root - (v << 2 * f)) <= deviation.EPS.hi:
            return found
    return None


def fitted(row, made, stream, index, count):
    """eps: one that ties, with half of the channels not lowered; or none, a common one, a large one."""
    zero = made.get("zq", 0)
    found = tying(row, count, zero, stream) if index % 2 == 0 else None
    if found is None:
        return {"eps": (0, 1, stream.integer(0, 1 << 40), 1 << 55)[index // 2 % 4]}
    same = {"down": made["down"] * stream.under("down").integers(0, 1, made["down"].shape)} if "down" in made else {}
    return {"eps": found} | same


def of_layernorm_exact(row, made, stream, index, reach):
    return fitted(row, made, stream, index, len(made["sign"])) | signs(made, stream)


def of_group_norm(row, made, stream, index, reach):
    count = PLACES[index % len(PLACES)]["l"] * len(made["sign"]) // row.groups
    return fitted(row, made, stream, index, count) | signs(made, stream)


def of_rms_norm(row, made, stream, index, reach):
    return fitted(row, made, stream, index, len(made["sign"]))


def signs(made, stream):
    return {"sign": 1 - 2 * stream.under("signs").integers(0, 1, made["sign"].shape)}


def of_l2_norm(row, made, stream, index, reach):
    """Zero points that let differences be large: only large sums tie."""
    return {"zq": (row.q.hi, row.q.lo, made["zq"])[index % 3]}


def of_batch_norm(row, made, stream, index, reach):
    """Multipliers of both signs and every kind, and biases that leave their ties where they are or lift them by half a step."""
    takes, count = row.takes, len(made["mult"])
    kinds = order(stream, count, index)
    pairs = [pair(kind, row.out.hi / (row.q.hi - row.q.lo), takes["mult"], takes["shift"], 0, stream) for kind in kinds]
    half = [1 << max(s - 1, 0) for _, s in pairs]
    bias = [h * b for h, b in zip(half, stream.integers(-9, 9, count).tolist())]
    least = takes["bias"]
    turned = 1 - 2 * stream.under("turned").integers(0, 1, count)
    mult, shift = [m * int(t) for (m, _), t in zip(pairs, turned)], [s for _, s in pairs]
    bias = [min(max(b, least.lo), least.hi) * (i % 3 > 0) for i, b in enumerate(bias)]
    if row.acc.bits > 33 and index % 3 == 1:        # as build has it where an offset is beyond all: what is clipped is far
        shift[0], bias[0] = 0, (row.acc.hi >> 2) * (1 - 2 * (index % 2))
    return {"mult": mult, "shift": shift, "bias": bias}


def of_layernorm_lstm(row, made, stream, index, reach):
    """Weights and biases that tie as often as others; multipliers that keep most results inside, and shifts to the left."""
    shape = made["w"].shape
    tied, sign = stream.integers(0, 1, shape) == 0, 1 - 2 * stream.integers(0, 1, shape)
    w = np.where(tied, sign << stream.integers(10, 14, shape), stream.integers(-(1 << 15), (1 << 15) - 1, shape))
    bias = np.where(tied, stream.integers(-(1 << 12), 1 << 12, shape) << 9, stream.integers(-(1 << 20), 1 << 20, shape))
    mult, _ = pair(("dense", "whole", "odd", "dense")[index % 4], 1.0, row.takes["mult"], row.takes["shift"], 0, stream)
    shift = (32, 34, 29, 31, 37, 20, 33)[index % 7]
    bias = np.clip(bias << (index % 3 == 2) * 11, I32.lo, I32.hi)
    mult = stream.integer(1, 1 << 16) if shift < 31 and index % 2 else mult
    return {"w": np.clip(w, I16.lo, I16.hi), "bias": bias, "mult": mult, "shift": shift, "guard": (1, 7, 300)[index % 3]}


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}


def far(stream, row, count, kind):
    """A row at the ends of the range, alike, alone, close together, or anywhere."""
    lo, hi = row.q.lo, row.q.hi
    if kind % 6 == 0:
        return np.where(stream.integers(0, 1, (count,)) == 1, hi, lo)
    if kind % 6 in (1, 2):
        place, end = stream.integer(0, count - 1), (lo, hi)[kind // 6 % 2]
        return np.where((np.arange(count) == place) & (kind % 6 == 2), lo + hi - end, end)
    spread = (hi - lo, 40, 3)[kind % 6 - 3]
    base = stream.integer(lo, hi - spread)
    return stream.integers(base, base + spread, (count,))


def placed(op, row, shape, stream, index, constants):
    """Codes (cases *shape) of q: in turn a row that ties, and one of the others; long rows are at the ends."""
    zero = int(constants.get("zq", 0))
    if op == "group_norm":
        *lead, places, channels = shape
        rows, count = int(np.prod(lead)) * row.groups, places * channels // row.groups
    else:
        rows, count = int(np.prod(shape[:-1])), shape[-1]
    made = np.empty((rows, count), np.int64)
    for i in range(rows):
        tied = None
        if i % 2 == 0 and count < 200:
            tied = TIED[op](stream, row, count, zero)
        made[i] = far(stream, row, count, i if count >= 200 else i // 2 + index) if tied is None else tied + zero
        if count >= 200 and op == "layernorm_lstm" and i == 2:
            made[i] = beyond(row, count, constants["w"])
    if op == "group_norm":
        made = made.reshape(-1, row.groups, places, channels // row.groups).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(made.reshape(shape), row.q.dtype)


def beyond(row, count, w):
    """A row whose variance is less than nothing, since 2**20 / count is cut; one difference is far beyond all others, where its
    product wraps to the other sign, and does not where the difference wraps or saturates at 24 bits."""
    far = 9500 - 9500 // count << 10
    up, *others = (I32.wrap(x * w.astype(np.int64)) > 0 for x in (far, (1 << 23) - 1, far - (1 << 24)))
    wraps = (w % 256 != 0) & (up != (w > 0)) & (up != others[0]) & (up != others[1])
    return np.where(np.arange(count) == np.argmax(wraps), row.q.lo + 9500, row.q.lo)


def shuffled(stream, row, count, zero):
    return stream.shuffled(small(count, row, zero))


def summing_to_ties(stream, row, count, zero):
    """Differences, one of them 128 or -128, whose squares sum to one of `RICH`; or None where there are none."""
    lo, hi = row.q.lo - zero, row.q.hi - zero
    for _ in range(8):
        first = 128 * (1 - 2 * stream.integer(0, 1))
        d, rest = [first], stream.pick(RICH) - first * first
        while rest > 0 and len(d) < count:
            sign = 1 if stream.integer(lo, hi) >= 0 else -1
            step = min(int(rest ** 0.5), hi if sign > 0 else -lo)
            d, rest = [*d, sign * step], rest - step * step
        if rest == 0 and lo <= first <= hi:
            return stream.shuffled(np.array(d + [0] * (count - len(d))))
    return None


@lru_cache(maxsize=1)
def varied():
    """Rows of 8 numbers with an odd sum whose variance is the first of `RICH`, so that differences tie at bit 31, one of them
    where the shift by 7 behind it shows how: seven are drawn, the last one solves 7*q*q - 2*b*q = 64*v + b*b - 8*a."""
    q = Stream(0, "norms").integers(-2600, 2600, (300000, 7))
    a, b = (q * q).sum(axis=1), q.sum(axis=1)
    root = np.sqrt(np.maximum(b * b + 7.0 * (64 * RICH[0] + b * b - 8 * a), 0))
    q = np.concatenate([q, np.rint((b + root) / 7).astype(np.int64)[:, None]], axis=1)
    mean = q.sum(axis=1, keepdims=True) << 7
    v = ((q * q).sum(axis=1) * (1 << 17) - mean[:, 0] ** 2) >> 20
    high = ((q << 10) - mean) * multiplier(RICH[0]) >> 31
    shown = (high % 128 == np.where(high < 0, 64, 63)).any(axis=1)
    return q[(v == RICH[0]) & (q.sum(axis=1) % 2 == 1) & shown]


def varying_to_ties(stream, row, count, zero):
    """One of `varied`, anywhere; None for rows of another length."""
    return stream.pick(varied()) + 2 * stream.integer(-12000, 12000) if count == 8 and row.q.bits == 16 else None


TIED = {"l2_norm": summing_to_ties, "layernorm_lstm": varying_to_ties,
        **dict.fromkeys(("rms_norm", "layernorm_exact", "group_norm"), shuffled)}
"""Operation to what gives the differences of a row that ties from the zero point, or None."""
