"""Histograms of reals as calibrators want them: the ends in one sweep, and counts in bins whose width is a power of two."""
import threading

import numpy as np

from refq.ints.jit import jit, word

BLOCK = 1024
"""So many values are looked at while they are in the nearest cache."""
scratch = threading.local()
"""Tables of counts that are warm: calibrators of many tensors take turns, and their own are not."""


@jit(nogil=True)
def keys(bits, sign, rest, lo, hi):
    """`lo`, `hi` and floats given as their bits: (smallest, largest), all compared as integers: so the loop has no branch, and a
    NaN is an end."""
    for i in range(bits.size):
        key = bits[i] ^ ((bits[i] >> sign) & rest)
        lo, hi = min(lo, key), max(hi, key)
    return lo, hi


def as_bits(x):
    """(x as integers, the place of the sign, the largest integer)."""
    kind = np.dtype(f"i{x.dtype.itemsize}").type
    return x.view(kind), kind(8 * x.dtype.itemsize - 1), kind(np.iinfo(kind).max)


def as_floats(keys, sign, rest, dtype):
    return tuple(np.array([key ^ ((key >> sign) & rest) for key in keys], type(rest)).view(dtype).tolist())


def ends(x):
    """(smallest, largest) of float32 or float64 `x` (n), n > 0, as floats; one of them is not finite if any value is not."""
    bits, sign, rest = as_bits(x)
    return as_floats([type(rest)(key) for key in keys(bits, sign, rest, rest, ~rest)], sign, rest, x.dtype)


@word
def signed_place(x, inverse, middle):
    return np.int64(np.floor(np.float64(x) * inverse)) + middle


@word
def magnitude_place(x, inverse, middle):
    return np.int64(abs(np.float64(x)) * inverse)


def counting(place_of):
    """Kernels that count values where `place_of` puts them: (whatever they are, those within)."""
    @jit(nogil=True)
    def counted(x, inverse, counts):
        """Count each x in `counts` (int64), what lies outside in the last bins."""
        middle, last = counts.size // 2, counts.size - 1
        for i in range(x.size):
            counts[max(min(place_of(x[i], inverse, middle), last), 0)] += 1

    @jit(nogil=True)
    def places_of(x, inverse, middle, places):
        for i in range(x.size):
            places[i] = np.uint32(place_of(x[i], inverse, middle))

    @jit(nogil=True)
    def within(x, bits, sign, rest, least, most, inverse, counts, warm):
        """(smallest, largest, all within): the keys of the ends, and whether all lie between the keys `least` and `most`; then
        they were counted, in two tables in turn, as equal neighbours would wait for each other."""
        middle, fit, lo, hi = counts.size // 2, True, rest, ~rest
        first, last = counts.size, 0
        places = np.empty(BLOCK, np.uint32)
        for start in range(0, x.size, BLOCK):
            lo, hi = keys(bits[start:start + BLOCK], sign, rest, lo, hi)
            fit = fit and least < lo and hi < most
            if not fit:
                continue
            block = x[start:start + BLOCK]
            places_of(block, inverse, middle, places)
            for i in range(block.size):
                first, last = min(first, np.int64(places[i])), max(last, np.int64(places[i]))
            for i in range(block.size // 2):
                warm[0, np.uint64(places[2 * i])] += np.uint32(1)
                warm[1, np.uint64(places[2 * i + 1])] += np.uint32(1)
            if block.size % 2:
                warm[0, np.uint64(places[block.size - 1])] += np.uint32(1)
        if fit:
            for i in range(first, last + 1):
                counts[i] += np.int64(warm[0, i]) + np.int64(warm[1, i])
        for i in range(first, last + 1):
            warm[0, i] = np.uint32(0)
            warm[1, i] = np.uint32(0)
        return lo, hi, fit

    return counted, within


signed, signed_within = counting(signed_place)
magnitudes, magnitudes_within = counting(magnitude_place)


def swept(x, reach, inverse, counts, within):
    """(smallest, largest, counted) of `x` as `ends` has it, in one sweep; where all |x| lie below `reach` they are counted in
    `counts` as well. `within`: signed_within or magnitudes_within."""
    if x.size < counts.size // 8 or x.size >= 1 << 32:
        return *ends(x), False
    bits, sign, rest = as_bits(x)
    most = x.dtype.type(min(reach, float(np.finfo(x.dtype).max))).view(type(rest))
    tables = vars(scratch)
    if counts.size not in tables:
        tables[counts.size] = np.zeros((2, counts.size), np.uint32)
    lo, hi, fit = within(x, bits, sign, rest, ~most, most, inverse, counts, tables[counts.size])
    return *as_floats([type(rest)(lo), type(rest)(hi)], sign, rest, x.dtype), fit


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
