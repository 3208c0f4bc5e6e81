"""q4_0: the codes of ggml's Q4_0 (and of MXFP4) blocks: 32 codes in 16 bytes, codes j and j + 16 in byte j, j in the low bits.

A block of the file is 18 bytes: the float16 d, then these 16; `blocks` and `apart` join and part them. A code is unsigned and
means (code - 8) * d. Source: ggml-org/llama.cpp ggml/src/ggml-quants.c, quantize_row_q4_0_ref; CHECK is worked out by hand.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt
from refq.ints.width import U4
from refq.layouts.dense import Dense, whole
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Dense):
    """No parameters; k is a multiple of 32."""

    PARTS = ("qs",)
    line = Line(U4, "halves", "code", 32, 16)

    def fits(self, extent):
        whole(self, extent)


def blocks(d, qs):
    """The bytes (rows, 18 * blocks) of a file, of d (rows blocks) float16 and qs (rows, 16 * blocks)."""
    rows, count = np.shape(d)
    scales = np.ascontiguousarray(d, "<f2").view(np.uint8).reshape(rows, count, 2)
    return np.concatenate([scales, np.reshape(qs, (rows, count, 16))], 2).reshape(rows, 18 * count)


def apart(raw):
    """(d, qs) of such bytes (rows, 18 * blocks); raises Corrupt for another length."""
    rows, length = np.shape(raw)
    if length % 18:
        raise Corrupt(f"q4_0: rows of {length} bytes; a block has 18, so the data is truncated")
    cut = np.ascontiguousarray(raw, np.uint8).reshape(rows, length // 18, 18)
    return np.ascontiguousarray(cut[:, :, :2]).view("<f2")[:, :, 0], cut[:, :, 2:].reshape(rows, -1)


EVERY = (Layout(),)
CHECK = ((Layout(), [[*range(16), *reversed(range(16))]], {"qs": np.array([[17 * j ^ 0xF0 for j in range(16)]], np.uint8)}),)
