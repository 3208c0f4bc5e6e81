"""Events: what happened at the sites while a spec ran: ties, saturations, wraps, overflows.

tie          what a rounding discards is exactly half, whatever its word does with that
saturation   a clip, or a float32's way to an integer, changed the value
wrap         keeping the low bits changed the value
overflow     a register holds what its declared width cannot (int64 itself is not watched: bounds are proved beforehand)

Of the last three it is kept where the first was, and which value was furthest outside (`Left`).
"""
from dataclasses import dataclass, replace

import numpy as np

from refq.ints import floats
from refq.ints.sites import Sites
from refq.ints.width import Width

WIDEST = Width(52)      # of what a float32 is rounded to
KINDS = ("ties", "saturations", "wraps", "overflows")


def half_shifted(x, s):
    """Is the part of x below bit s exactly half, for 0 <= s <= 63?"""
    return (s > 0) & (x - ((x >> s) << s) == np.left_shift(np.int64(1), np.maximum(s, 1) - 1))


def half_divided(x, d):
    """Is what x leaves of a division by d > 0 exactly half of d?"""
    r = x - x // d * d
    return r == d - r


@dataclass(frozen=True)
class Left:
    """What left the width of a site: `index`, of the first element that did, in an array of `shape`; `worst`, the value furthest
    outside (an integer, or a float where one was rounded)."""

    index: tuple
    shape: tuple
    worst: object
    width: Width

    @property
    def distance(self):
        return float(max(self.worst - self.width.hi, self.width.lo - self.worst))

    def joined(self, later):
        """This and what left the same site later."""
        return replace(self, worst=max(self, later, key=lambda left: left.distance).worst)


class Events(Sites):
    """Counts events by site; `take()` hands over what was counted since the last call, `furthest()` what left its width."""

    def __init__(self):
        self.seen, self.left = {}, {}

    def count(self, name, kind, where):
        site = self.seen.setdefault(name, dict.fromkeys(KINDS, 0))
        site[kind] += int(np.count_nonzero(where))

    def leaves(self, name, kind, where, x, width):
        """`count`, and which element was the first, and which is furthest outside."""
        self.count(name, kind, where)
        if np.any(where):
            x, where = np.broadcast_arrays(x, where)
            far = np.where(where, np.maximum(x - np.float64(width.hi), np.float64(width.lo) - x), -1)
            at = tuple(map(int, np.unravel_index(int(where.argmax()), where.shape)))
            later = Left(at, where.shape, x.reshape(-1)[int(far.argmax())].item(), width)
            self.left[name] = self.left[name].joined(later) if name in self.left else later

    def furthest(self):
        """Site to the Left of everything since the last call."""
        left, self.left = self.left, {}
        return left

    def take(self):
        """Site to number of events of each kind; the counters start anew."""
        seen, self.seen = self.seen, {}
        return seen

    def __call__(self, name, value, width):
        self.leaves(name, "overflows", (value < width.lo) | (value > width.hi), value, width)
        return value

    def shift(self, name, word, x, s, width):
        self.count(name, "ties", half_shifted(np.asarray(x, np.int64), np.asarray(s, np.int64)))
        return super().shift(name, word, x, s, width)

    def divide(self, name, word, x, d, width):
        self.count(name, "ties", half_divided(np.asarray(x, np.int64), np.asarray(d, np.int64)))
        return super().divide(name, word, x, d, width)

    def nearest(self, name, word, x, width):
        result, exact = super().nearest(name, word, x, width), np.asarray(x, np.float64)
        inside = np.abs(exact) < 2.0**51
        self.count(name, "ties", inside & (np.where(inside, exact, 0) % 1 == 0.5))
        self.leaves(name, "saturations", result != floats.rounded(x, word, WIDEST), exact, width)
        return result

    def clip(self, name, x, width):
        clipped = super().clip(name, x, width)
        self.leaves(name, "saturations", clipped != x, x, width)
        return clipped

    def wrap(self, name, x, width):
        wrapped = super().wrap(name, x, width)
        self.leaves(name, "wraps", wrapped != x, x, width)
        return wrapped
