"""What is stored of one row of weights, in blocks or under bits, for the kernels of sparse products.

Each gives (entries, most, lay) as sparse.gathered takes them; what it is called with decides it, and not how much is stored, so
that kernels of all sizes are one.
"""
from functools import cache

import numpy as np

from refq.ints.jit import word


@cache
def in_blocks(high, wide, tile):
    """Blocks of so many rows and columns, and tiles of so many columns or none (0): the runs of a row, tile by tile, and of them
    the columns in front of its end."""
    @word
    def end(starts, at, blocks):
        return min(max(np.int64(starts[at]), 0), blocks)

    @word
    def most(m, k, values, columns, starts):
        room, down = 0, (m + high - 1) // high
        for i in range(down):
            count = 0
            for t in range((k + tile - 1) // tile if tile else 1):
                count += max(end(starts, t * down + i + 1, len(columns)) - end(starts, t * down + i, len(columns)), 0)
            room = max(room, count * wide)
        return room

    @word
    def entries(j, m, k, values, columns, starts, found, codes):
        count, down = 0, (m + high - 1) // high
        for t in range((k + tile - 1) // tile if tile else 1):
            at = t * down + j // high
            for e in range(end(starts, at, len(columns)), end(starts, at + 1, len(columns))):
                column = t * tile + wide * np.int64(columns[e])
                for c in range(min(wide, k - column)):
                    found[count], codes[count] = column + c, values[(e * high + j % high) * wide + c]
                    count += 1
        return count

    @word
    def lay(j, m, k, values, columns, starts, line):
        last, twice, down = np.int64(-1), False, (m + high - 1) // high
        for t in range((k + tile - 1) // tile if tile else 1):
            at = t * down + j // high
            for e in range(end(starts, at, len(columns)), end(starts, at + 1, len(columns))):
                column, first = t * tile + wide * np.int64(columns[e]), (e * high + j % high) * wide
                twice |= column <= last
                last = column
                for c in range(min(wide, k - column)):
                    line[column + c] = values[first + c]
        return twice

    return entries, most, lay


@cache
def under_bits(size):
    """A bit for each place, in words of `size`, low bits first: values are counted out from where their row begins."""
    @word
    def most(m, k, values, bits, starts):
        return k

    @word
    def entries(j, m, k, values, bits, starts, columns, codes):
        count, at = 0, np.int64(starts[j])
        for c in range(min(k, bits.shape[1] * size)):
            if np.int64(bits[j, c // size]) >> c % size & 1:
                if at < values.shape[0]:
                    columns[count], codes[count] = c, values[at]
                    count += 1
                at += 1
        return count

    @word
    def lay(j, m, k, values, bits, starts, line):
        at, whole = np.int64(starts[j]), 0
        if at + k + size < values.shape[0]:         # so that what is behind a row's values can be read, and is not kept
            whole = min(k // size, bits.shape[1])
        for b in range(whole):
            word = np.int64(bits[j, b])
            for i in range(size if word else 0):
                one = word >> i & 1
                line[b * size + i] = values[at] if one else line[b * size + i]
                at += one
        for c in range(whole * size, min(k, bits.shape[1] * size)):
            if np.int64(bits[j, c // size]) >> c % size & 1:
                if at < values.shape[0]:
                    line[c] = values[at]
                at += 1
        return False

    return entries, most, lay


@cache
def in_quads(size):
    """Two values for each quad, and their places in a nibble of words of `size` bits."""
    quads = size // 4

    @word
    def most(m, k, values, meta, _):
        return values.shape[1]

    @word
    def entries(j, m, k, values, meta, _, columns, codes):
        count = 0
        for e in range(values.shape[1]):
            quad = e // 2
            column = 4 * quad + (np.int64(meta[j, quad // quads]) >> 4 * (quad % quads) + 2 * (e % 2) & 3)
            if column < k:
                columns[count], codes[count] = column, values[j, e]
                count += 1
        return count

    @word
    def lay(j, m, k, values, meta, _, line):
        twice, here = 2 * (k // 4) != values.shape[1], min(values.shape[1] // 2, k // 4)
        for first in range(0, here, quads):
            places = np.int64(meta[j, first // quads])
            for q in range(first, min(first + quads, here)):
                twice |= places & 3 == places >> 2 & 3
                line[4 * q + (places & 3)] = values[j, 2 * q]
                line[4 * q + (places >> 2 & 3)] = values[j, 2 * q + 1]
                places >>= 4
        return twice

    return entries, most, lay
