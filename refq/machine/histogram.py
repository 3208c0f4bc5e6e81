"""Histograms of reals as calibrators want them: the ends in one sweep, and counts in bins whose width is a power of two."""
import numpy as np

from refq.ints.jit import jit


@jit(nogil=True)
def keys(bits, magnitude):
    """(smallest, largest) of floats given as their bits, compared as integers: so the loop has no branch, and a NaN is an end."""
    lo, hi = bits[0], bits[0]
    lo, hi = lo ^ ((lo >> magnitude[0]) & magnitude[1]), hi ^ ((hi >> magnitude[0]) & magnitude[1])
    sign, rest = magnitude[0], magnitude[1]
    for i in range(bits.size):
        key = bits[i] ^ ((bits[i] >> sign) & rest)
        lo, hi = min(lo, key), max(hi, key)
    return lo ^ ((lo >> sign) & rest), hi ^ ((hi >> sign) & rest)


def ends(x):
    """(smallest, largest) of float32 or float64 `x` (n), n > 0, as floats; one of them is not finite if any value is not."""
    kind = np.dtype(f"i{x.dtype.itemsize}").type
    lo, hi = keys(x.view(kind), np.array([8 * x.dtype.itemsize - 1, np.iinfo(kind).max], kind))
    both = np.array([lo, hi], kind).view(x.dtype)
    return float(both[0]), float(both[1])


@jit(nogil=True)
def places_of(x, inverse, middle, places):
    """floor(x * inverse) of a block, within -middle to middle - 1: a loop without memory traffic, which vectorises."""
    most = np.float64(middle)
    for i in range(x.size):
        place = np.floor(np.float64(x[i]) * inverse)
        place = place if place < most - 1 else most - 1
        places[i] = np.int32(place if place > -most else -most)


@jit(nogil=True)
def signed(x, inverse, counts):
    """Count each x in the bin floor(x * inverse) of `counts` (int64), whose middle is at 0; what lies outside in the last bins.

    Many values are counted in a table half as large that is warm, as calibrators of many tensors take turns and theirs is not."""
    middle, last = counts.size // 2, counts.size - 1
    if x.size < counts.size or x.size >= 1 << 32:
        for i in range(x.size):
            place = np.int64(np.floor(np.float64(x[i]) * inverse)) + middle
            counts[max(min(place, last), 0)] += 1
        return
    warm, places = np.zeros(counts.size, np.uint32), np.empty(512, np.int32)
    for start in range(0, x.size, 512):
        block = x[start:start + 512]
        places_of(block, inverse, middle, places)
        for i in range(block.size):
            warm[places[i] + middle] += np.uint32(1)
    for i in range(counts.size):
        counts[i] += warm[i]


@jit(nogil=True)
def magnitudes(x, inverse, counts):
    """Count each |x| in the bin floor(|x| * inverse) of `counts` (int64)."""
    last = counts.size - 1
    for i in range(x.size):
        counts[min(np.int64(abs(np.float64(x[i])) * inverse), last)] += 1


@jit(nogil=True)
def squared_errors(below, width, first, scale, least, most, errors):
    """Into `errors` (g): the sum of squared errors of what a histogram counts, on each of g grids with reals scale * k for
    least <= k <= most, in units of width**2.

    `below` (bins + 1, 3): sums of 1, c and c**2 over all that lies in the bins before each, where c of bin i is first + i + 1/2:
    each value counts as the middle of its bin. So a grid costs its levels, not the bins.
    """
    bins = below.shape[0] - 1
    for g in range(scale.size):
        step, total, start = scale[g] / width, 0.0, 0
        for k in range(least[g], most[g] + 1):
            if k == most[g]:
                end = bins
            else:
                end = min(max(np.int64(np.ceil(min(max((k + 0.5) * step - first - 0.5, -1.0), bins + 1.0))), start), bins)
            if end > start:
                level = k * step
                n, c, square = (below[end, 0] - below[start, 0], below[end, 1] - below[start, 1], below[end, 2] - below[start, 2])
                total += square - 2 * level * c + level * level * n
                start = end
            elif start == bins:
                break
        errors[g] = total
