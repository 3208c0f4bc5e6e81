"""entropy, TensorRT's: the threshold of |x| at which `levels` lose least of the distribution, by the Kullback-Leibler
divergence.

For every i from `start` bins to all: P is the first i bins, what lies above added to the last; Q spreads what the first i bins
hold, level by level, evenly over those that are not empty (bin j is of level floor(j * levels / i)). The threshold is the edge
i of the least D(P || Q), of equal ones the largest. The first bin is taken to hold as much as the second: zeros behind a ReLU
say nothing about the range. Where Q is 0 under mass of P the divergence is infinite, also where Q is 0 throughout (NVIDIA's
code gets a NaN there, which its argmin takes for the least); if all are, nothing is cut. Of few grey values nothing is cut
either: there Q is P at the last edge, as it is at one behind the first grey value alone.

P, the levels and the first bin are those of NVIDIA's pytorch-quantization, verified against its text; the slides leave all
three open. The histogram is not: bins of a power of two that double (refq.quantizers.histogram), from `bins` to twice as many
up to the largest magnitude, where NVIDIA's are of the first batch's largest / 2048. The range is what was seen, cut at the
threshold on both sides.

source   Migacz, 8-bit inference with TensorRT, GTC 2017; NVIDIA/TensorRT tools/pytorch-quantization calib/histogram.py
"""
import numpy as np

from refq.errors import IllFormed
from refq.quantizers.base import whole
from refq.quantizers.histogram import Counting, Magnitudes

CHUNK = 1 << 20
"""So many levels are looked at at once."""
EQUAL = 1e-12
"""Divergences this near (in nats) are equal: where P is Q, as for few grey values, each should be 0 and is a rounding."""


class Quantizer(Counting):
    """`levels`: 2**(bits - 1) unless said; `bins`: a power of two, 2048 or 16 for each level unless said; `start`, `stride`:
    which edges are tried, 128 and 1 unless said (from 256 levels on in proportion, beyond 2048 fewer)."""

    def __init__(self, bits=8, scheme="symmetric", levels=None, bins=None, start=None, stride=None):
        whole("bits", bits, 2, 16)
        self.levels = 1 << bits - 1 if levels is None else levels
        whole("levels", self.levels, 1)
        fine = max(self.levels // 128, 1)
        bins = 2048 * fine if bins is None else bins
        whole("bins", bins, 4)
        if bins < self.levels:
            raise IllFormed(f"calibrator {self.name}: {bins} bins for {self.levels} levels; give at least as many bins as levels")
        self.start = min(max(128 * fine, self.levels), bins) if start is None else start
        self.stride = max(fine, fine * fine // 16) if stride is None else stride
        whole("start", self.start, self.levels, bins)
        whole("stride", self.stride, 1)
        super().__init__(bits, scheme, Magnitudes, 2 * bins)

    def find(self):
        counts = self.histogram.counts
        counts = counts[:int(np.flatnonzero(counts)[-1]) + 1]
        threshold = edge(counts, self.levels, min(self.start, counts.size), self.stride) * self.histogram.width
        return max(self.lo, -threshold), min(self.hi, threshold)


def edge(counts, levels, start, stride=1):
    """The edge of the least divergence: counts int64 (bins), of which the last is not empty; levels <= start <= bins."""
    counts = counts.copy()
    counts[0] = counts[1] if counts.size > 1 else counts[0]
    mass, full = (np.concatenate([[0], part.cumsum()]) for part in (counts, counts > 0))
    if not mass[-1]:
        return counts.size
    own = np.concatenate([[0.0], entropies(counts).cumsum()])
    tried, divergence = np.arange(start, counts.size + 1, stride), []
    for part in np.array_split(tried, -(-tried.size * levels // CHUNK)):
        places = -(-np.arange(levels + 1) * part[:, None] // levels)
        held, spread = np.diff(mass[places]), np.diff(full[places])
        inside, beyond = mass[part], mass[-1] - mass[part]
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.log(held / np.maximum(spread, 1))
            cross = np.where(held > 0, held * level, 0).sum(1) + np.where(beyond > 0, beyond * level[:, -1], 0)
            kept = own[part - 1] + entropies(counts[part - 1] + beyond)
            found = (kept - cross) / mass[-1] - np.log(mass[-1]) + np.log(inside)
        found[(inside == 0) | (beyond > 0) & (counts[part - 1] == 0)] = np.inf
        divergence.append(found)
    divergence = np.concatenate(divergence)
    if np.isinf(divergence).all():
        return counts.size
    return int(tried[np.flatnonzero(divergence <= divergence.min() + EQUAL)[-1]])


def entropies(counts):
    """n log n, 0 for none."""
    return counts * np.log(np.maximum(counts, 1))
