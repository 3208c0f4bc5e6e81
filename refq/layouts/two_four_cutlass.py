"""two_four_cutlass: 2:4 as tensor cores load it: the words of two_four's metadata in another order.

With g, w = 16, 2 for words of 32 bits and 32, 4 for words of 16, word (r, c) of the plain metadata moves in three turns

    r' = r // g * g + r % 8 * w + r % g // 8                the eight rows that one instruction wants lie together
    in every 2 x 2 block the two off-diagonal words are exchanged
    offset = c' // 2 * 2 * rows + 2 * r' + c' % 2           columns in pairs, each pair column-major

Rows come in multiples of g (tools ask for 16 and 32 alike), and k fills whole words: in a multiple of 32 for words of 32 bits, of
16 for words of 16. With an odd number of words in a row the exchange would leave the array, so k is refused that leaves one.

source  PyTorch torch/sparse/_semi_structured_conversions.py, which cites CUTLASS tools/util/include/cutlass/util/host_reorder.h
        and cutlass/layout/matrix.h (ColumnMajorInterleaved<2>)
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.sparse import part
from refq.layouts import two_four


@dataclass(frozen=True)
class Layout(two_four.Layout):
    def admit_shape(self, rows, k):
        group, each = (16 if self.word == 32 else 32), 2 * 4 * self.quads
        if rows % group or k % each:
            raise IllFormed(f"{self.name}: codes ({rows} {k}); with words of {self.word} bits rows come in multiples of {group} "
                            f"and k in multiples of {each}, so pad the tensor with its zero point")

    def pack(self, codes):
        codes = self.admitted(codes)
        self.admit_shape(*codes.shape)
        made = super().pack(codes)
        meta = made["meta"]
        turned = np.empty_like(meta)
        turned.reshape(-1)[offsets(*meta.shape, self.word)] = meta
        return made | {"meta": turned}

    def unpack(self, parts, shape):
        rows, k = shape
        self.admit_shape(rows, k)
        meta = part(parts, "meta", f"u{self.word // 8}", (rows, k // 4 // self.quads), self.name)
        return super().unpack(parts | {"meta": meta.reshape(-1)[offsets(*meta.shape, self.word)]}, shape)


def offsets(rows, words, word):
    """Where in the flat array each word (rows words) of the plain metadata lies."""
    group, apart = (16, 2) if word == 32 else (32, 4)
    r, c = np.arange(rows)[:, None], np.arange(words)[None, :]
    r = r // group * group + r % 8 * apart + r % group // 8
    off = r % 2 != c % 2
    r, c = np.where(off, r ^ 1, r), np.where(off, c ^ 1, c)
    return c // 2 * 2 * rows + 2 * r + c % 2


EVERY = (Layout(), Layout(bits=16, word=16))


def staircase(rows, k):
    """Codes 0 and 1: quad q of a word w of row r keeps the pair that digit q of r * words + w names, counted in sixes."""
    quads = k // 8
    number = np.arange(rows)[:, None, None] * 2 + np.arange(2)[:, None]
    pairs = np.array(two_four.LEGAL)[number // 6 ** np.arange(quads) % 6]
    codes = np.zeros((rows, 2, quads, 4), np.int64)
    np.put_along_axis(codes, np.stack([pairs & 3, pairs >> 2], -1), 1, -1)
    return codes.reshape(rows, k).tolist()


CHECK = (
    # what torch 2.13's sparse_semi_structured_from_dense_cutlass makes on a CPU, whose words each say which they are
    (Layout(), staircase(16, 64), {"values": np.ones((16, 32), np.int8), "meta": np.array(
        [0x44444444, 0x4444449D, 0x44444448, 0x4444449E, 0x44444449, 0x444444C4, 0x4444444C, 0x444444C8, 0x4444444D, 0x444444C9,
         0x4444444E, 0x444444CC, 0x44444484, 0x444444CD, 0x44444488, 0x444444CE, 0x44444489, 0x444444D4, 0x4444448C, 0x444444D8,
         0x4444448D, 0x444444D9, 0x4444448E, 0x444444DC, 0x44444494, 0x444444DD, 0x44444498, 0x444444DE, 0x44444499, 0x444444E4,
         0x4444449C, 0x444444E8], np.uint32).reshape(16, 2)}),
    (Layout(bits=16, word=16), staircase(32, 32), {"values": np.ones((32, 16), np.int16), "meta": np.array(
        [0x4444, 0x449D, 0x4448, 0x449E, 0x44E9, 0x4894, 0x44EC, 0x4898, 0x4449, 0x44C4, 0x444C, 0x44C8, 0x44ED, 0x4899, 0x44EE,
         0x489C, 0x444D, 0x44C9, 0x444E, 0x44CC, 0x4844, 0x489D, 0x4848, 0x489E, 0x4484, 0x44CD, 0x4488, 0x44CE, 0x4849, 0x48C4,
         0x484C, 0x48C8, 0x4489, 0x44D4, 0x448C, 0x44D8, 0x484D, 0x48C9, 0x484E, 0x48CC, 0x448D, 0x44D9, 0x448E, 0x44DC, 0x4884,
         0x48CD, 0x4888, 0x48CE, 0x4494, 0x44DD, 0x4498, 0x44DE, 0x4889, 0x48D4, 0x488C, 0x48D8, 0x4499, 0x44E4, 0x449C, 0x44E8,
         0x488D, 0x48D9, 0x488E, 0x48DC], np.uint16).reshape(32, 2)}),
)
