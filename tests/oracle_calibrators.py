"""An oracle for calibrators: their definitions as plain loops over Python numbers; shares no code with refq."""
from fractions import Fraction
from math import erfc, exp, fsum, inf, log, pi, sqrt


def relative(p, q):
    """D(P || Q) of two lists, each by its own sum; infinite where only Q is 0, and where all of Q is."""
    whole_p, whole_q = fsum(p), fsum(q)
    if not whole_q or any(a and not b for a, b in zip(p, q, strict=True)):
        return inf
    return fsum(a / whole_p * log((a / whole_p) / (b / whole_q)) for a, b in zip(p, q, strict=True) if a)


def tensorrt(counts, levels, i):
    """The divergence where the first i bins are kept: as the docstring of entropy_tensorrt has it."""
    bins = [counts[1], *counts[1:]]
    level = [j * levels // i for j in range(i)]
    held, full = [0] * levels, [0] * levels
    for j in range(i):
        held[level[j]] += bins[j]
        full[level[j]] += bins[j] > 0
    p = bins[:i]
    p[-1] += sum(bins[i:])
    return relative(p, [held[level[j]] / full[level[j]] if bins[j] else 0 for j in range(i)])


def conditioned(p):
    zeros = sum(a == 0 for a in p)
    off = 1e-4 * zeros / (len(p) - zeros) if zeros < len(p) else 1
    return list(p) if off >= 1 else [a - off if a else 1e-4 for a in p]


def glow(counts, levels, start, stop):
    """The divergence of the window [start, stop): as the docstring of entropy_glow has it."""
    held = counts[start:stop]
    p = list(held)
    p[0] += sum(counts[:start])
    p[-1] += sum(counts[stop:])
    run, q = len(held) // levels, []
    for level in range(levels):
        part = range(level * run, (level + 1) * run if level < levels - 1 else len(held))
        total, full = sum(held[j] for j in part), sum(held[j] > 0 for j in part)
        q += [total / full if full and p[j] else 0.0 for j in part]
    p, q = conditioned(p), conditioned(q)
    if not sum(p) or not sum(q):
        return 0.0
    return fsum(a / fsum(p) * log((a / fsum(p)) / (b / fsum(q))) for a, b in zip(p, q, strict=True) if a > 0 and b > 0)


def glow_windows(counts, levels, balanced):
    """All windows that are looked at, in order."""
    start, stop = 0, len(counts)
    while stop - start >= levels:
        yield start, stop
        left, right = counts[start] + counts[start + 1], counts[stop - 1] + counts[stop - 2]
        both = counts[start] + counts[stop - 1]
        if balanced or both <= left and both <= right:
            start, stop = start + 1, stop - 1
        elif left <= right:
            start += 2
        else:
            stop -= 2


def clipping_laplace(a, bits):
    """The mean squared error of 2**bits levels between -a and a, for a Laplace distribution of scale 1."""
    return 2 * exp(-a) + a * a / (3 * 4 ** bits)


def clipping_gauss(a, bits):
    """The same for a normal distribution of deviation 1."""
    return (1 + a * a) * erfc(a / sqrt(2)) - sqrt(2 / pi) * a * exp(-a * a / 2) + a * a / (3 * 4 ** bits)


def least(function, low, high):
    """Where a function with one minimum is least, by golden sections."""
    share = (sqrt(5) - 1) / 2
    for _ in range(100):
        first, second = high - share * (high - low), low + share * (high - low)
        low, high = (low, second) if function(first) < function(second) else (first, high)
    return (low + high) / 2


def squared(values, scale, zero, lo, hi):
    """The exact sum of squared errors of codes lo .. hi, each value by the nearest."""
    scale, total = Fraction(scale), Fraction(0)
    for value in map(Fraction, values):
        code = min(max(round(value / scale) + zero, lo), hi)
        total += (value - scale * (code - zero)) ** 2
    return total
