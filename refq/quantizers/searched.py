"""searched: what the choosers share that search a grid by the squared error it makes of the data.

They see the data once, in a histogram (refq.quantizers.octaves), and then try every candidate on it; of equal ones the first is
taken. So a grid depends neither on the order of the arrays nor on how they were split, bit for bit.
"""
import numpy as np

from refq.errors import IllFormed
from refq.quantizers.base import reals, whole, words
from refq.quantizers.octaves import Errors, Octaves


class Chooser:
    """The parent; a file says `candidates()`: (levels, switches, what makes the grid) of each, and `made(what)`, the grid.

    `bits`: of the codes, 3 to 8."""

    def __init__(self, bits=8):
        whole("bits", bits, 3, 8)
        self.bits = bits
        self.counts, self.most, self.least, self.count = Octaves(), 0.0, 0.0, 0

    @property
    def name(self):
        return type(self).__module__.rpartition(".")[2]

    def see(self, values):
        """Take an array of reals of any shape (empty: nothing) into account; raises IllFormed for NaN and infinities."""
        x = reals(values)
        if not np.isfinite(x).all():
            place = int(np.argmin(np.isfinite(x)))
            raise IllFormed(f"quantizer {self.name}: value {place} of {x.size} is {x[place]}; a grid is chosen for finite "
                            "values, clean the data first")
        if x.size:
            self.counts.add(x)
            self.most, self.least = max(self.most, float(x.max())), min(self.least, float(x.min()))
            self.count += x.size

    def merge(self, other):
        """Take into account what another quantizer of the same options saw."""
        if type(other) is not type(self) or other.options() != self.options():
            raise IllFormed(f"quantizer {self.name} with {words(self.options())} cannot take in another one; merge two of "
                            "the same name and options")
        self.counts.join(other.counts)
        self.most, self.least = max(self.most, other.most), min(self.least, other.least)
        self.count += other.count

    def options(self):
        """The parameters that two quantizers have to share for a merge."""
        return {k: v for k, v in vars(self).items() if k not in ("counts", "most", "least", "count")}

    def grid(self):
        """The grid of the least mean squared error; raises IllFormed where nothing was seen."""
        if not self.count:
            raise IllFormed(f"quantizer {self.name}: no value was seen; let it see at least one array that is not empty")
        errors, best, found = Errors(self.seen()), np.inf, None
        for levels, switches, what in self.candidates():
            if (error := errors.of(levels, switches)) < best:
                best, found = error, what
        return self.made(found)

    def seen(self):
        return self.counts.seen()

    def error(self, grid):
        """The mean squared error of what was seen on a grid of refq.grids, as the search counts it: bins by their middles."""
        values, counts = self.seen()
        return float((counts * (grid.decode(grid.encode(values)) - values) ** 2).sum() / max(self.count, 1))


def middles(levels):
    """Where the nearest of two rising levels changes."""
    return (levels[1:] + levels[:-1]) / 2


class Shares(Chooser):
    """The parent of those for reals from 0: what is below counts as 0. `first`: the largest level, or None for a search of it,
    among m * 2**(-i / STEPS), i = 0 to STEPS * OCTAVES - 1, m the largest magnitude seen."""

    STEPS, OCTAVES = 8, 3

    def __init__(self, bits=8, first=None):
        super().__init__(bits)
        if first is not None and (isinstance(first, bool) or not isinstance(first, (int, float)) or not 0 < first < np.inf):
            raise IllFormed(f"quantizer {self.name} with first {first!r}; it is a number above 0, or None for a search")
        self.first = first

    def firsts(self):
        """The largest levels to try, float32."""
        if self.first is not None:
            return np.float32([self.first]).astype(np.float64)
        most = max(self.most, -self.least) or 1.0
        most = min(max(most, 2.0 ** -100), 2.0 ** 100)          # every level is a normal float32
        return (most * 2.0 ** (-np.arange(self.STEPS * self.OCTAVES) / self.STEPS)).astype(np.float32).astype(np.float64)

    def seen(self):
        values, counts = self.counts.seen()
        below = values <= 0
        return np.concatenate([[0.0], values[~below]]), np.concatenate([[counts[below].sum()], counts[~below]])


class Logarithms(Shares):
    """The parent of those of logarithmic grids, whose highest code means 0. A file says `bases()`: (what, octaves between codes,
    the levels of the codes for a first level of 1, falling) of each grid to try."""

    def candidates(self):
        for base, step, powers in self.bases():
            # from the smallest level up, 0 before it; a real takes the next code half a step, in octaves, behind a level
            places = np.arange(len(powers))
            levels, switches = np.append(powers, 0.0)[::-1], 2.0 ** (-(places + 0.5) * step)[::-1]
            for first in self.firsts():
                yield levels * first, switches * first, (base, first)
