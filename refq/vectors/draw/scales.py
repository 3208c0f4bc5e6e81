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
    if row.multiplier == "pow2":                            # shifts alone, which are defined however large the result
        right = [s - m.bit_length() + 1 for m, s in pairs]
        return {"mult": [1 << min(max(-r, 0), 30) for r in right], "shift": [min(max(r, 0), 62 - row.out.bits) for r in right]}
    shifts = [min(max(s, 2, (most * m).bit_length() - 30), takes["shift"].hi) for m, s in pairs]
    return {"mult": [m for m, _ in pairs], "shift": shifts}


BEHIND_53_BITS = ((1065657421, 1504499885, 55), (1629171101, 1293715942, 55), (814367347, 1647994230, 54),
                  (578780171, 2007547532, 54), (425655121, 2126659543, 53), (216146740, 1718957081, 52))
"""Accumulator, multiplier and shift whose product lies less than half a last place of float64 above a tie with an even code
below it: rounded to 53 bits it is that tie. (Products of a tie and a little more, taken apart into two factors of 31 bits.)"""


def of_rescale_float64(row, made, stream, index, reach):
    """As `of_rescale`; channels of full registers take one of the multipliers above in turn."""
    top = reach.seen if reach else np.full(len(made["mult"]), row.acc.hi)
    takes, high = row.takes, row.gives["y"].hi
    pairs = [pair(kind, high / max(int(r), 1), takes["mult"], takes["shift"], 0, stream)
             for kind, r in zip(order(stream, len(top), index), top)]
    if reach is None and row.acc.bits > 31 and not made["zin"]:
        for i in range(index % 2, len(pairs), 3):
            pairs[i] = BEHIND_53_BITS[i // 3 % len(BEHIND_53_BITS)][1:]
    return {"mult": [m for m, _ in pairs], "shift": [s for _, s in pairs]}


def of_rescale_preshift(row, made, stream, index, reach):
    """Triples as targets make them: all in front, all behind, both; and left shifts. No product leaves its register where the
    main operand is known to stay within `reach`; where it is not, only the largest codes' do."""
    takes, found = row.takes, []
    top = reach.seen if reach else np.full(len(made["mult"]), row.acc.hi >> 8)
    for i, (kind, r) in enumerate(zip(order(stream, len(top), index), top)):
        bits = min((1, 8, 9, 15, 9, 12)[(i + index) % 6], takes["mult"].hi.bit_length())
        mult = 1 << bits - 1 if kind in ("dense", "tie") else mantissa("whole", bits, stream) if bits > 1 else 1
        if kind == "carry" and row.product.bits == 64:
            mult, bits = takes["mult"].hi, takes["mult"].hi.bit_length()
        raised = bits - exponent(kind if kind != "huge" else "over", row.out.hi / max(int(r), 1), stream)
        pre = (0, stream.integer(0, 12), -stream.integer(1, 8), stream.integer(1, 4))[(i + index // 2) % 4]
        pre = min(max(pre, takes["pre"].lo), takes["pre"].hi)
        if takes["post"].lo == takes["post"].hi:            # the shift behind is given: all others are in front
            pre = min(max(raised - takes["post"].lo, takes["pre"].lo), takes["pre"].hi)
        post = min(max(raised - pre, takes["post"].lo), takes["post"].hi)
        if kind == "unit":                                  # the lowest code of `middle` is told from its neighbour
            mult, post = (1, 0) if index % 4 < 2 else (2, 1) if row.product.bits < 64 else (2 * stream.integer(0, 60) + 1, 32)
            pre, post = max(pre, 0) if index % 4 < 2 else 0, min(max(post, takes["post"].lo), takes["post"].hi)
        if kind == "huge" and row.product.bits == 64:
            post = max(min(post, 6), takes["post"].lo)
        most = (2 * int(r) + 2 * abs(int(made["zin"])) >> max(pre, 0)) << max(-pre, 0)
        while kind != "unit" and mult > 1 and min(most, row.middle.hi) * mult >> row.product.bits - 1:
            mult >>= 1
        found.append((pre, mult, post))
    return {"pre": [p for p, _, _ in found], "mult": [m for _, m, _ in found], "post": [s for _, _, s in found]}


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
             ("huge", "huge", "dense"), None, None)
    if kinds[index % len(kinds)] is None:       # operands in halves and quarters of a unit that has no exact reciprocal: ties
        unit = single(("odd", "whole")[index % 2], 2.0 ** -3, stream)
        return {"sa": unit / np.float32(2), "sb": unit / np.float32(4), "so": unit}
    return {name: single(kind, 2.0 ** -3, stream) for name, kind in zip(("sa", "sb", "so"), kinds[index % len(kinds)])}


BIASED = (("unit", "unit"), ("dense", "dense"), ("whole", "odd"), ("carry", "unit"), ("unit", "whole"))
"""Kinds of the first and the second scale; in every other configuration a bias is multiplied by a unit of its own."""


def of_rescale_float32_bias(row, made, stream, index, reach):
    """Some channels have no bias, so that their ties stay where they are; the others one in whole or half accumulators."""
    one, two = BIASED[index % len(BIASED)]
    top = reach.seen if reach else np.full(len(made["last"]), row.acc.hi)
    first = single(one, 1, stream)
    second = np.array([single(two, 1, stream) * np.float32(2.0 ** -stream.integer(0, 3)) for _ in top], np.float32)
    last = [single(kind, row.out.hi / max(int(r), 1), stream) for kind, r in zip(order(stream, len(top), index), top)]
    unit = single("whole", 2.0 ** -3, stream) if index % 2 else np.float32(1)
    bias = stream.integers(-999, 999, len(top)) * np.float32(0.5) * first * second / unit
    bias[index % 2::3] = 0
    limits = row.takes
    return {"first": first, "second": second, "bias": np.clip(bias, limits["bias"].lo, limits["bias"].hi), "unit": unit,
            "last": np.clip(last / (first * second), limits["last"].lo, limits["last"].hi)}


def of_mul_float32(row, made, stream, index, reach):
    kinds = (("unit", "unit", "dense"), ("dense", "dense", "dense"), ("whole", "whole", "whole"), ("odd", "dense", "odd"),
             ("unit", "unit", "whole"), ("carry", "odd", "whole"), ("unit", "dense", "huge"), ("huge", "huge", "dense"),
             ("unit", "unit", "dense"))
    found = {name: single(kind, 2.0 ** -3, stream) for name, kind in zip(("sa", "sb", "so"), kinds[index % len(kinds)])}
    # a product of 8-bit codes has 14 bits and more, of which the result holds 7
    wide = np.float32(2.0 ** (row.a.bits + row.b.bits - row.out.bits - 2))
    found["so"] = found["so"] / wide if row.quotient == "multiple" else found["so"] * wide
    return {name: np.clip(s, row.takes[name].lo, row.takes[name].hi) for name, s in found.items()}


FITTED = {"rescale_float32_bias": of_rescale_float32_bias, "mul_float32": of_mul_float32, "rescale": of_rescale,
          "rescale_float64": of_rescale_float64, "rescale_preshift": of_rescale_preshift,
          "rescale_float32": of_rescale_float32, "add": of_add, "add_float32": of_add_float32}
