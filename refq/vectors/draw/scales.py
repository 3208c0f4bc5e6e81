"""Multipliers and scales of a configuration, so that results tie, use the whole range, or saturate.

Where a row has one for each channel, neighbours are of different kinds, so that every part of a result meets all:

    dense    a power of two, 1/2 to 1/64: every few accumulators tie
    tie      a power of two that brings the reach of the register onto the range of the result
    whole    any mantissa, likewise
    odd      ten bits of mantissa and any trailing zeros, about as dense
    over     results far beyond the range
    under    next to nothing of the result is left
    carry    the largest mantissa
    loose    a mantissa of few bits that is not normalised
    last     the longest shift
    huge     as short a shift as the row takes, and a few bits more
    unit     1, without any shift
"""
from math import frexp

import numpy as np

KINDS = ("dense", "whole", "huge", "odd", "dense", "carry", "over", "dense", "tie", "under", "odd", "loose", "dense", "last",
         "huge", "unit")


def exponent(kind, ratio, stream):
    """The exponent of two of a scale of that kind; `ratio`: the largest result over the largest input."""
    if kind in ("dense", "odd", "loose"):
        return -stream.integer(1, 6)
    if kind == "over":
        return -stream.integer(0, 2)
    if kind == "huge":
        return stream.integer(2, 30)
    return frexp(ratio)[1] - (stream.integer(8, 20) if kind == "under" else stream.integer(-1, 2))


def mantissa(kind, top, stream):
    """A multiplier of up to `top` bits."""
    if kind in ("dense", "tie"):
        return 1 << top - 1
    if kind == "odd":
        return (stream.integer(1 << 9, (1 << 10) - 1) | 1) << top - 10
    if kind == "unit":
        return 1
    if kind == "loose":
        return stream.integer(1, 1 << stream.integer(1, top - 2)) | 1
    return (1 << top) - 1 if kind in ("carry", "last") else stream.integer(1 << top - 1, (1 << top) - 1)


def pair(kind, ratio, mults, shifts, least, stream):
    """(mult, shift) of that kind within the declared operands; no shift is below `least`."""
    top = mults.hi.bit_length() - 1
    mult = mantissa(kind, top, stream)
    shift = {"last": shifts.hi, "unit": 0}.get(kind)
    if shift is None:
        shift = top - exponent(kind, ratio, stream)
    return mult, min(max(shift, shifts.lo, least), shifts.hi)


def order(stream, count, index):
    """The kinds of `count` channels; another order in every configuration."""
    start = index * 5
    kinds = [KINDS[(start + i) % len(KINDS)] for i in range(count)]
    return kinds if index == 0 else list(stream.shuffled(kinds))


def of_rescale(row, made, stream, index, reach):
    takes, high = row.takes, row.gives["y"].hi
    top = reach.seen if reach else np.full(len(made["mult"]), row.acc.hi)
    # what is shifted left must stay within 32 bits, and so must what is shifted right: targets define no more
    least = 0 if row.high == "none" else 31 if reach is None else min(1 + (2 * reach.most).bit_length(), 31)
    pairs = [pair(kind, high / max(int(r), 1), takes["mult"], takes["shift"], least, stream)
             for kind, r in zip(order(stream, len(top), index), top)]
    most = reach.most + abs(int(made["zin"])) if reach else row.acc.hi + 1 + abs(int(made["zin"]))
    shifts = [min(max(s, 2, (most * m).bit_length() - 30), takes["shift"].hi) for m, s in pairs]
    return {"mult": [m for m, _ in pairs], "shift": shifts}


def single(kind, ratio, stream):
    """A float32 scale of that kind."""
    top = 24 if kind != "odd" else 10
    if kind == "unit":
        return np.float32(1)
    return np.float32(mantissa("whole" if kind == "last" else kind, top, stream) * 2.0 ** (exponent(kind, ratio, stream) - top))


def of_rescale_float32(row, made, stream, index, reach):
    top = reach.seen if reach else np.full(len(made["scale"]), row.acc.hi)
    return {"scale": [single(kind, row.out.hi / max(int(r), 1), stream)
                      for kind, r in zip(order(stream, len(top), index), top)]}


ADDS = (("dense", "dense", "in", "in", 1), ("whole", "whole", 0, 0, 1), ("cancel", "dense", 0, 0, "out"),
        ("near", "dense", 0, 0, "out"), ("lift", "lift", 1, 1, "out"), ("dense", "dense", 1, 2, 1),
        ("odd", "odd", "in", "in", 1), ("cancel", "dense", 1, 1, "out"), ("dense", "dense", 1, 1, 0),
        ("whole", "whole", "in", "in", "out"), ("whole", "dense", 1, 4, -3), ("carry", "odd", 2, 1, 0),
        ("dense", "lift", "in", "in", "out"), ("odd", "whole", "in", "in", "out"), ("loose", "odd", 1, 1, 0),
        ("whole", "whole", 1, 1, -20), ("near", "dense", -28, -28, "out"), ("dense", "odd", -8, -8, 4),
        ("whole", "whole", 1, 1, -45))
"""Kinds of the two operands' multipliers and of the sum's, and by how many bits each of the three is lowered: `in`: to where
the left shift's bits are lost, `out`: not at all, so that the first roundings are seen. Beside the kinds of channels:

    cancel   both operands alike, so that sums of opposite ones are what their roundings make of them; ties at bit 31
    near     the same, but for the last bit of the first: what a form loses of the multiplier is all that is left
    lift     a multiplier of a few bits: the left shift before it leaves the register
"""


def of_add(row, made, stream, index, reach):
    """Three pairs: of each operand, and of their sum."""
    kind, last, a, b, o = ADDS[index % len(ADDS)]
    inner, mixed = row.left + stream.integer(1, 3), stream.integer(-2, 2) if index >= 2 * len(ADDS) else 0
    o = 0 if o == "out" else o + (0 if a == "in" else row.left)
    down = {"a": inner if a == "in" else a + mixed, "b": inner if b == "in" else b + mixed, "o": o}
    found = {}
    for name in down:
        mults, shifts = row.takes[f"m{name}"], row.takes[f"s{name}"]
        mult = mantissa_of_add(last if name == "o" else kind, mults.hi.bit_length() - 1, row.left, stream)
        if kind in ("cancel", "near") and name == "b":
            mult = found["ma"] - (kind == "near")
        top = (mult - 1).bit_length()
        least = top if row.joined else shifts.lo            # in a joined sum real multipliers are at most 1
        found |= {f"m{name}": mult, f"s{name}": min(max(top + down[name], least), shifts.hi)}
    return found


def mantissa_of_add(kind, top, left, stream):
    if kind == "cancel" and top > left + 2:
        zeros = top - 1 - left
        return (stream.integer(1 << left, (1 << left + 1) - 1) | 1) << zeros
    if kind in ("cancel", "near"):
        return mantissa("whole", top, stream) | 1
    return stream.integer(0, 7) | 1 if kind == "lift" else mantissa(kind, top, stream)


def of_add_float32(row, made, stream, index, reach):
    kinds = (("dense",) * 3, ("whole",) * 3, ("odd", "dense", "odd"), ("dense", "whole", "dense"), ("carry", "odd", "whole"),
             ("huge", "huge", "dense"))
    return {name: single(kind, 2.0 ** -3, stream) for name, kind in zip(("sa", "sb", "so"), kinds[index % len(kinds)])}


FITTED = {"rescale": of_rescale, "rescale_float32": of_rescale_float32, "add": of_add, "add_float32": of_add_float32}
