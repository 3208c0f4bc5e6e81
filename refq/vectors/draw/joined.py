"""Constants of operations on two tensors by integers, and of a float64 rescale: multipliers whose results tie, use the whole
range or saturate, in the kinds of scales.py.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py.
"""
from refq.vectors.draw import scales

WEIGHTS = (("dense", 0), ("whole", 1), ("odd", 0), ("dense", 2), ("carry", 0), ("under", 12), ("whole", 7))
"""Kinds of the two multipliers, and by how many bits the finer one is smaller."""


def halves(stream):
    """Ties at bit 31 that no second rounding hides."""
    mult = stream.integer(1, 7) | 1
    return mult << 31 - mult.bit_length()


def loose(stream):
    """The same, with a multiplier that is not normalised: rounded at bit 31 and not before."""
    return (stream.integer(1, 7) | 1) << stream.integer(23, 28)


def edge(stream):
    """A multiplier whose last bit takes a frequent product to a tie."""
    product, mult = (60, 84, 36, 120, 24, 48)[stream.integer(0, 5)], 0
    while not mult & 1:
        mult = -(-(stream.integer(product // 2, product - 1) * (1 << 31) + (1 << 30)) // product)
    return mult


EDGES = {1: halves, 2: edge, 3: loose, 4: edge}


def of_mul(row, made, stream, index, reach):
    """One pair, by the largest product of codes less their zero points."""
    most = 1
    for name, zero in (("a", "za"), ("b", "zb")):
        most *= max(row.takes[name].hi - int(made[zero]), int(made[zero]) - row.takes[name].lo)
    takes = row.takes
    if index % 5 and takes["mult"].hi >> 31:
        return {"mult": EDGES[index % 5](stream), "shift": 31 + stream.integer(0, 1)}
    kind = scales.KINDS[index // 5 % len(scales.KINDS)]
    # what is shifted left must stay within 32 bits
    least = 0 if row.high == "none" else min(most.bit_length(), 31)
    mult, shift = scales.pair(kind, row.out.hi / most, takes["mult"], takes["shift"], least, stream)
    if row.high == "none" and kind == "huge":           # rounded once, results may be larger than 32 bits
        return {"mult": mult, "shift": stream.integer(takes["shift"].lo, 16)}
    return {"mult": mult, "shift": min(max(shift, (most * mult).bit_length() - 30), takes["shift"].hi)}


def of_add_weighted(row, made, stream, index, reach):
    """Two multipliers, the finer one on either side, and one shift."""
    kind, less = WEIGHTS[index % len(WEIGHTS)]
    top, shifts = row.bits, row.takes["shift"]
    first = min(scales.mantissa(kind, top, stream), 1 << top)
    second = (first if kind == "dense" else scales.mantissa("odd" if kind == "odd" else "whole", top, stream)) >> less
    shift = top - 1 - (0, -1, 7, -2, 3)[index % 5]
    found = {"ka": first, "kb": second} if stream.integer(0, 1) else {"ka": second, "kb": first}
    return found | {"shift": min(max(shift, shifts.lo), shifts.hi)}


def of_rescale_double(row, made, stream, index, reach):
    """53-bit mantissas for every channel, by the reach of the register."""
    top = [int(r) for r in reach.seen] if reach else [row.acc.hi] * len(made["mantissa"])
    found = []
    for kind, r in zip(scales.order(stream, len(top), index), top):
        mult = scales.mantissa("whole" if kind in ("last", "unit") else kind, 53, stream)
        exponent = 53 - scales.exponent("tie" if kind == "last" else kind, row.out.hi / max(r, 1), stream)
        found.append((mult, min(max(exponent, row.takes["exponent"].lo), row.takes["exponent"].hi)))
    return {"mantissa": [m for m, _ in found], "exponent": [e for _, e in found]}


FITTED = {"mul": of_mul, "add_weighted": of_add_weighted, "rescale_double": of_rescale_double}
