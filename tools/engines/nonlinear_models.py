"""What the campaigns of nonlinear operations draw: every 8-bit code of a grid, 16-bit codes, rows of a softmax; and how many of
the results are ties or saturated.
"""
import numpy as np

from refq import dialects
from refq.ints import functions
from tools.engines.campaign import Compared, play

F = np.float32
COUNT = 51_200
"""Codes of one model, about: each of 256 codes 200 times, in vectors of odd lengths too."""


def scale(rng, least=-20, most=4, even=None):
    """A float32 scale from 2**least to 2**most as a float64; a power of two half the time."""
    if rng.integers(0, 2) if even is None else even:
        return float(2.0 ** rng.integers(least, most, endpoint=True))
    return float(F(2.0 ** rng.uniform(least, most)))


def zero(rng, width):
    """A zero point: an end, the middle, anything."""
    middle = (width.lo + width.hi + 1) // 2
    return int(rng.choice([width.lo, width.hi, middle, rng.integers(width.lo, width.hi, endpoint=True)]))


def codes(rng, width, count=COUNT):
    """Every code of 8 bits as often as the others and in any order; of 16, uniform codes, rails and some around 0."""
    count -= int(rng.integers(0, 33))
    if width.bits <= 8:
        made = rng.permutation(np.arange(count) % (1 << width.bits)) + width.lo
    else:
        made = rng.integers(width.lo, width.hi, count, endpoint=True)
        made = np.where(rng.integers(0, 4, count) == 0, made >> rng.integers(0, 15, count), made)
        made[:4] = width.lo, width.hi, 0, width.lo + 1
    return np.asarray(made, width.dtype)


def rows(rng, width, longest=700):
    """Rows of a softmax (n c): uniform, close together, alike, one that stands out."""
    c = int(rng.choice([1, 2, 3, 7, 8, 16, 33, 100, 257, longest]))
    n, span = max(1, COUNT // 2 // c), width.hi - width.lo
    spread = np.where(rng.integers(0, 2, (n, 1)) == 0, span, rng.integers(0, span >> rng.integers(0, 7), (n, 1), endpoint=True))
    top = width.hi - (rng.uniform(0, 1, (n, 1)) * (span - spread)).astype(np.int64)
    made = top - np.floor(rng.uniform(0, 1, (n, c)) * (spread + 1)).astype(np.int64)
    made[::7, rng.integers(0, c)] = width.hi
    return np.asarray(made, width.dtype)


def hard(y, width, exact=None):
    """How many codes are at an end of their range, or ties by `exact`, their real values."""
    tied = False if exact is None else np.abs(exact - np.floor(exact) - 0.5) < 1e-9
    return int(((y == width.lo) | (y == width.hi) | tied).sum())


QUICK = functions.quick | {"tanh": np.tanh, "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6, "identity": lambda x: x}


def judged(dialect, role, widths, q, theirs, witness, exact=None, **build):
    """The Compared of one model: what `role` of the dialect named `dialect` makes of `q` beside what an engine gave."""
    ours = play(dialect, role, widths, {"q": q}, **build)
    out = widths.get("out") or dialects.load(dialect).role(role).row.gives["y"].width
    return Compared(ours, theirs, hard(ours, out, exact), f"{witness}, q {q.dtype} {q.shape}")
