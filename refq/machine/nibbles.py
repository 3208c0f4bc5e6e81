"""Float32 numbers to packed nibbles and back in one pass: codes of at most 4 bits, two to a byte, the first in the low nibble.

The codes of a span stay in the nearest cache between the loop that makes them (codes.py) and the one that packs them. An odd
last code shares its byte with a nibble of 0.
"""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import jit
from refq.machine.codes import SPAN, decoder, encoder, laid_out


def admit(width):
    if width.bits > 4:
        raise IllFormed(f"packed nibbles: codes of {width}; two of at most 4 bits share a byte")


@cache
def packing(row):
    """A jitted function of (x, scale, zp, packed): a row of quantize whose codes have at most 4 bits; x (n c) contiguous, packed
    the bytes of all codes one after another, (n * c + 1) // 2 of them."""
    admit(row.out)
    encode = encoder(row.quotient, row.zero_point, row.ties, row.far, row.nan, row.out.lo, row.out.hi)
    kind = row.out.dtype

    @jit(nogil=True, error_model="numpy")
    def pack(x, scale, zp, packed):
        size, given = x.size, x.reshape(x.size)
        if size == 0:
            return
        scales, zeros = laid_out(np.append(scale, scale)), laid_out(np.append(zp, zp))      # an even number of them
        inverses, longest = np.float32(1) / scales, len(scales)
        codes = np.zeros(SPAN, kind)
        for at in range(0, longest, SPAN):
            to = min(at + SPAN, longest)
            part, inverse, zero = scales[at:to], inverses[at:to], zeros[at:to]
            for first in range(at, size, longest):
                count = min(to - at, size - first)
                encode(given[first:first + count], part, inverse, zero, codes[:count])
                if count & 1:
                    codes[count] = 0
                part_of = packed[first >> 1:(first + count + 1) >> 1]
                for i in range(len(part_of)):
                    part_of[i] = np.uint8(codes[2 * i]) & np.uint8(15) | np.uint8(codes[2 * i + 1]) << np.uint8(4)

    return pack


@cache
def unpacking(row):
    """A jitted function of (packed, scale, zp, y): a row of dequantize whose codes have at most 4 bits; y (n c) contiguous."""
    admit(row.q)
    decode, sign, kind = decoder(row.product), 8 if row.q.signed and row.q.bits == 4 else 0, row.q.dtype

    @jit(nogil=True, error_model="numpy")
    def unpack(packed, scale, zp, y):
        size, numbers = y.size, y.reshape(y.size)
        if size == 0:
            return
        scales, zeros = laid_out(np.append(scale, scale)), laid_out(np.append(zp, zp))
        offsets, longest = (np.float32(0) - zeros) * scales, len(scales)
        codes = np.zeros(SPAN, kind)
        for at in range(0, longest, SPAN):
            to = min(at + SPAN, longest)
            part, zero, offset = scales[at:to], zeros[at:to], offsets[at:to]
            for first in range(at, size, longest):
                count = min(to - at, size - first)
                given = packed[first >> 1:(first + count + 1) >> 1]
                for i in range(len(given)):
                    codes[2 * i] = (np.int32(given[i] & 15) ^ sign) - sign
                    codes[2 * i + 1] = (np.int32(given[i] >> 4) ^ sign) - sign
                decode(codes[:count], part, zero, offset, numbers[first:first + count])

    return unpack
