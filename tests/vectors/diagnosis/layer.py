"""Operands of one int8 layer on which kernels show how they round, saturate and join: for tests of whole devices."""
import numpy as np


def telling(rng, m, k, lo=-128):
    """Weights (m k) of at least `lo`, bias (m), scales s_x*s_w/s_y (m): every third channel has sums that are multiples of 64
    and a scale that is a power of two, so that ties are common; the others have scales without pattern."""
    w = rng.integers(lo, 127, (m, k), np.int8, endpoint=True)
    w[::3] = rng.choice(np.array([-64, 0, 64], np.int8), w[::3].shape)
    bias = rng.integers(-3000, 3000, m)
    bias[::3] = bias[::3] // 64 * 64
    scales = rng.uniform(2.0**-9, 2.0**-7, m)
    scales[::3] = 2.0**-7
    return w, bias, scales


def inputs(rng, cases, n, w, zx, width):
    """Codes of `width` (cases n k) whose rows take turns: anything; ends of the range, with the largest sums of either sign
    among them; codes near the zero point."""
    shape, ends = (cases, n, w.shape[1]), np.array([width.lo, width.hi])
    rails = rng.choice(ends, shape)
    for at, row in zip(range(1, n, 6), w[1:3]):
        rails[:, at], rails[:, (at + 3) % n] = np.where(row < 0, *ends), np.where(row < 0, *ends[::-1])
    near = rng.integers(max(zx - 13, width.lo), min(zx + 19, width.hi), shape)
    every = rng.integers(width.lo, width.hi, shape, endpoint=True)
    turn = np.arange(n)[:, None] % 3
    return np.where(turn == 0, every, np.where(turn == 1, rails, near)).astype(width.dtype)
