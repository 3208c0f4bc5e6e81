"""octaves: a histogram by the leading bits of floats, and the squared error that any list of levels makes of what it counted.

A bin holds the magnitudes of one sign, one exponent and the same BITS leading bits of the mantissa, so its width is 2**-BITS of
its lower end: bins never move, and counts do not depend on the order of what was seen or on how it was split. Magnitudes below
2**-126 count as 0. An octave that was seen keeps 16 KB, and float32 has 254 of them.

The error takes each value for the middle of its bin: it is off by at most 2**-12 of itself.
"""
import numpy as np

BITS = 11
LEAST = 2.0 ** -126


class Octaves:
    """`counts[negative, octave]`: (2**BITS) int64; `zeros`: how many were 0."""

    def __init__(self):
        self.counts, self.zeros = {}, 0

    def add(self, x):
        """Count finite values (n)."""
        size = np.abs(x.astype(np.float64, copy=False))
        kept = size >= LEAST
        self.zeros += x.size - int(kept.sum())
        keys = size.view(np.int64) >> 52 - BITS
        for negative in (False, True):
            chosen = keys[kept & ((x < 0) == negative)]
            if chosen.size:
                first = int(chosen.min()) >> BITS
                found = np.bincount(chosen - (first << BITS))
                found = np.pad(found, (0, -found.size % (1 << BITS))).reshape(-1, 1 << BITS)
                for octave in np.flatnonzero(found.any(1)).tolist():
                    self.put((negative, first + octave), found[octave])

    def put(self, key, counts):
        self.counts[key] = self.counts[key] + counts if key in self.counts else counts.astype(np.int64)

    def join(self, other):
        """What another histogram counted."""
        self.zeros += other.zeros
        for key, counts in other.counts.items():
            self.put(key, counts)

    def seen(self):
        """(values, counts): the middles of the bins that hold something, rising, and 0."""
        values, counts = [np.zeros(1)], [np.array([self.zeros])]
        for (negative, octave), held in self.counts.items():
            places = np.flatnonzero(held)
            middles = ((2 * ((octave << BITS) + places) + 1) << 51 - BITS).view(np.float64)
            values.append(-middles if negative else middles)
            counts.append(held[places])
        values, counts = np.concatenate(values), np.concatenate(counts)
        order = np.argsort(values)
        return values[order], counts[order]


class Errors:
    """Squared errors of what an Octaves counted, for any levels; the sums are made once."""

    def __init__(self, seen):
        self.values, counts = seen
        sums = [np.cumsum(counts * self.values ** power) for power in (0, 1, 2)]
        self.sums = np.pad(np.array(sums), ((0, 0), (1, 0)))

    def of(self, levels, switches):
        """The sum of squared errors where a value takes level i between switches i - 1 and i: rising arrays (n) and (n - 1)."""
        ends = np.concatenate([[0], np.searchsorted(self.values, switches), [self.values.size]])
        count, total, squares = np.diff(self.sums[:, ends])
        return float((squares - levels * (2 * total - levels * count)).sum())
