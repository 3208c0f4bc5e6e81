"""Slips of operations that give logarithms of shares; see refq/ints/slips.py. Sites: inverse, place, below (log_int_softmax)."""
import numpy as np

from refq.ints.sites import Sites

ROOT = 3037000500
"""sqrt(2) * 2**31, rounded up: what lies at or above it lies nearer to 2 than to 1 on logarithms."""


def next_bit_ignored(run, operands, row):
    """A code is the place of the leading bit alone: shares are never rounded."""
    class Alone(Sites):
        def __call__(self, name, value, width):
            return value * (name != "below")
    return run(operands, at=Alone())


def switched_between_powers(run, operands, row):
    """A code switches at sqrt(2) * 2**k, as the float quantizer rounds, not at 1.5 * 2**k."""
    class Geometric(Sites):
        def divide(self, name, word, x, d, width):
            value = super().divide(name, word, x, d, width)
            self.inverse = value if name == "inverse" else getattr(self, "inverse", None)
            return value

        def __call__(self, name, value, width):
            self.place = value if name == "place" else getattr(self, "place", None)
            if name != "below":
                return value
            up, down = np.maximum(31 - self.place, 0), np.maximum(self.place - 31, 0)
            return ((self.inverse << up >> down) >= ROOT).astype(np.int64)

    return run(operands, at=Geometric())
