"""loops: lines of codes into bytes and back, compiled; refq/layouts/lines.py says what they mean, in NumPy.

Fields that fill bytes are put together byte by byte, so that loops over units become vector code; others, and units with idle
bits, go through a window of 64 bits.
"""
from functools import cache

from refq.ints.jit import jit, word


@word
def low_first(place, n, each):
    return place


@word
def high_first(place, n, each):
    return n - 1 - place


@word
def interleaved(place, n, each):
    return 2 * place if place < n // 2 else 2 * place - n + 1


@word
def halves(place, n, each):
    return place // each + place % each * (n // each)


code_at = {"low_first": low_first, "high_first": high_first, "interleaved": interleaved, "halves": halves}
"""Order to the code that stands in a field, of a unit of n codes, `each` in a byte."""


def kept(line):
    """The word from a code to what is stored of it, in the low bits."""
    mask, turn = (1 << line.width.bits) - 1, 1 << line.width.bits - 1
    turn, less = turn * (line.stored == "top_bit_flipped"), int(line.stored.startswith("minus_one"))

    @word
    def field(code):
        return ((code - less) ^ turn) & mask

    return field


def meant(line):
    """The word from a field to its code."""
    bits, half = line.width.bits, 1 << line.width.bits - 1
    turn, more = half * (line.stored == "top_bit_flipped"), int(line.stored.startswith("minus_one"))
    sign = half if line.width.signed else 0
    mask = (1 << bits) - 1 if line.stored != "minus_one" else (2 << bits) - 1

    @word
    def code(field):
        return ((((field ^ turn) + more) & mask) ^ sign) - sign

    return code


@cache
def packing(line):
    """(codes (n k), bytes (n j)) -> None: fills the bytes."""
    bits, block, unit = line.width.bits, line.block, line.unit
    at, field = code_at[line.order], kept(line)
    if 8 % bits == 0 and block * bits == 8 * unit:
        each = 8 // bits

        @jit(nogil=True)
        def packed(codes, raw):
            k = codes.shape[1]
            whole = k // block
            for n in range(codes.shape[0]):
                line, made = codes[n], raw[n]
                for u in range(whole):
                    for b in range(unit):
                        value = 0
                        for p in range(each):
                            value |= field(line[u * block + at(b * each + p, block, each)]) << p * bits
                        made[u * unit + b] = value
                if whole * block < k:
                    for b in range(unit):
                        value = 0
                        for p in range(each):
                            i = whole * block + at(b * each + p, block, each)
                            value |= field(line[i]) << p * bits if i < k else 0
                        made[whole * unit + b] = value
        return packed

    @jit(nogil=True)
    def streamed(codes, raw):
        k = codes.shape[1]
        for n in range(codes.shape[0]):
            for u in range((k + block - 1) // block):
                window, filled, b = 0, 0, u * unit
                for p in range(block):
                    i = u * block + at(p, block, 1)
                    window |= (field(codes[n, i]) if i < k else 0) << filled
                    filled += bits
                    if filled >= 8 and b < raw.shape[1]:
                        raw[n, b] = window & 255
                        window, filled, b = window >> 8, filled - 8, b + 1
                while b < min((u + 1) * unit, raw.shape[1]):
                    raw[n, b] = window & 255
                    window, b = window >> 8, b + 1
    return streamed


@cache
def unpacking(line):
    """(bytes (n j), codes (n k)) -> None: fills the codes."""
    bits, block, unit = line.width.bits, line.block, line.unit
    at, code, mask = code_at[line.order], meant(line), (1 << line.width.bits) - 1
    if 8 % bits == 0 and block * bits == 8 * unit:
        each = 8 // bits

        @jit(nogil=True)
        def unpacked(raw, codes):
            k = codes.shape[1]
            whole = k // block
            for n in range(codes.shape[0]):
                made, line = raw[n], codes[n]
                for u in range(whole):
                    for b in range(unit):
                        for p in range(each):
                            line[u * block + at(b * each + p, block, each)] = code(made[u * unit + b] >> p * bits & mask)
                if whole * block < k:
                    for b in range(unit):
                        for p in range(each):
                            i = whole * block + at(b * each + p, block, each)
                            if i < k:
                                line[i] = code(made[whole * unit + b] >> p * bits & mask)
        return unpacked

    @jit(nogil=True)
    def streamed(raw, codes):
        k = codes.shape[1]
        for n in range(codes.shape[0]):
            for u in range((k + block - 1) // block):
                window, filled, b = 0, 0, u * unit
                for p in range(block):
                    if filled < bits:
                        window |= (raw[n, b] if b < raw.shape[1] else 0) << filled
                        filled, b = filled + 8, b + 1
                    i = u * block + at(p, block, 1)
                    if i < k:
                        codes[n, i] = code(window & mask)
                    window, filled = window >> bits, filled - bits
    return streamed
