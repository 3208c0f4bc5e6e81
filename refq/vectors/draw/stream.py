"""A stream of random integers that is the same for ever: shake_256 of a seed and a label. No library's own is used."""
from hashlib import shake_256

import numpy as np


class Stream:
    """Integers drawn from `seed` and `label`; every call takes the next ones. `under(label)` is a stream of its own."""

    def __init__(self, seed, label):
        self.seed, self.label, self.calls = seed, label, 0

    def under(self, label):
        return Stream(self.seed, f"{self.label}/{label}")

    def words(self, count):
        """`count` uint64."""
        self.calls += 1
        digest = shake_256(f"{self.seed}:{self.label}:{self.calls}".encode()).digest(8 * count)
        return np.frombuffer(digest, "<u8")

    def integers(self, lo, hi, shape=()):
        """int64 from lo to hi, both ends in; fewer than 2**63 of them (the bias is below 1 in 2**(63 - bits))."""
        count = int(np.prod(shape, dtype=np.int64))
        drawn = (self.words(count) >> np.uint64(1)) % np.uint64(int(hi) - int(lo) + 1)
        return (drawn.astype(np.int64) + int(lo)).reshape(shape)

    def integer(self, lo, hi):
        return int(self.integers(lo, hi))

    def pick(self, among):
        return among[self.integer(0, len(among) - 1)]

    def shuffled(self, array):
        """A copy with the places of the first axis in another order."""
        array = np.asarray(array)
        return array[np.argsort(self.words(len(array)), kind="stable")]
"""`words` are independent of the machine's byte order: they are read as little-endian."""
