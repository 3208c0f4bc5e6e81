"""aciq: what the analytical clippings share: the moments of a histogram, and the clipping of least error for a distribution.

For 2**bits levels between -a and a the error is that of clipping plus a**2 / (3 * 4**bits); it is least where its derivative
is 0:

    Laplace of scale b     a/b * exp(a/b) = 3 * 4**bits, so a = b * W(3 * 4**bits), W Lambert's function
    Gauss of deviation s   a * (1/(3 * 4**bits) + 2 Q(a)) = 2 phi(a), for s = 1, phi the density and Q the upper tail
    one side               2**bits levels from 0 to a: the same with one bit more, a = b * W(12 * 4**bits)

The authors' code has these as tables of two digits, for up to 8 bits; here they are solved.

source   Banner, Nahshan, Soudry, Post training 4-bit quantization of convolutional networks, NeurIPS 2019;
         submission2019/cnn-quantization pytorch_quantizer/quantization/qtypes/int_quantizer.py
"""
from math import erfc, exp, log, pi, sqrt

import numpy as np

from refq.quantizers.histogram import Counting, Signed

BINS = 1 << 15


class Clipping(Counting):
    """The parent. `bins`: of the histogram: each value counts as the middle of its bin, off by 2**-14 of the largest magnitude at
    most. Sums are of integers, so shards add up to the bit."""

    def __init__(self, bits=8, scheme="asymmetric", bins=BINS):
        super().__init__(bits, scheme, Signed, bins)

    def moments(self):
        """(mean, mean distance from it, standard deviation by n - 1), of integer sums; the mean lies among the values."""
        held = np.flatnonzero(self.histogram.counts)
        counts = self.histogram.counts[held].tolist()
        places = (2 * (held - self.histogram.middle) + 1).tolist()
        n, unit = self.count, self.histogram.width / 2
        total = sum(c * k for c, k in zip(counts, places, strict=True))
        apart = sum(c * abs(n * k - total) for c, k in zip(counts, places, strict=True))
        square = sum(c * k * k for c, k in zip(counts, places, strict=True))
        variance = (n * square - total * total) / (n * (n - 1)) if n > 1 else 0.0
        return min(max(total / n * unit, self.lo), self.hi), apart / (n * n) * unit, sqrt(variance) * unit


def laplace(bits):
    """a / b for 2**bits levels on both sides of the mean: W(3 * 4**bits)."""
    target = log(3) + bits * log(4)
    w = target - log(target)
    for _ in range(60):                     # Newton on w + log(w) = log(3 * 4**bits), which is concave: it settles
        w -= (w + log(w) - target) / (1 + 1 / w)
    return w


def gauss(bits):
    """a / s for 2**bits levels on both sides of the mean: the root of a falling function, by halving."""
    low, high, share = 0.0, 16.0, 1 / (3 * 4.0 ** bits)
    for _ in range(80):
        a = (low + high) / 2
        rest = 2 * exp(-a * a / 2) / sqrt(2 * pi) - a * (erfc(a / sqrt(2)) + share)
        low, high = (a, high) if rest > 0 else (low, a)
    return low
