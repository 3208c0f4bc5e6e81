"""max_pool: the largest code under a window that slides over an image.

    y[n, oy, ox, c] = max over i, j of q[n, oy*sy + i*dy - top, ox*sx + j*dx - left, c]

units    y counts what q counts: both lie on one grid; images are (n h w c)
R1       codes are compared as integers; a grid keeps their order
R2       a place outside the image is never the largest; a window that sees none of the image is refused
error    exact
source   TOSA 1.0 MAX_POOL2D; ONNX MaxPool; tensorflow/tflite-micro reference/integer_ops/pooling.h
"""
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, not_cleared, transposed
from refq.ints.width import I8, Width
from refq.ints.window_slips import padding_swapped, strides_swapped
from refq.machine.pool import admit_pool, pooled, seen, window_of


@dataclass(frozen=True)
class Row(Base):
    q: Width = decided(I8)
    kernel: tuple = decided((2, 2))
    stride: tuple = decided((1, 1))
    padding: tuple = decided((0, 0, 0, 0))
    dilation: tuple = decided((1, 1))

    def __post_init__(self):
        super().__post_init__()
        admit_pool(self, "max_pool")

    @property
    def takes(self):
        return {"q": self.q("n [h] [w] c")}

    @property
    def gives(self):
        return {"y": self.q("n oh ow c")}

    def sizes(self, found):
        return pooled(self, found, "max_pool")


def build(row):
    return {}


def spec(q, row, at=unwatched):
    q, largest = q.astype(np.int64), np.int64(row.q.lo)
    for _i, _j, codes, inside in seen(row, q):
        largest = at("largest", np.maximum(largest, np.where(inside[..., None], codes, row.q.lo)), row.q)     # R1 R2
    return at("y", largest, row.q)


@cache
def kernel(row):
    lo, (kh, kw), (sy, sx), (dy, dx), (top, left) = row.q.lo, row.kernel, row.stride, row.dilation, row.padding[:2]

    @jit(nogil=True)
    def walk(q, kh, kw, sy, sx, dy, dx, top, left, y):
        for n in range(y.shape[0]):
            for oy in range(y.shape[1]):
                for ox in range(y.shape[2]):
                    out = y[n, oy, ox]
                    out[:] = lo
                    for i in range(kh):
                        b = oy * sy + i * dy - top
                        if 0 <= b < q.shape[1]:                                                               # R2
                            for j in range(kw):
                                a = ox * sx + j * dx - left
                                if 0 <= a < q.shape[2]:
                                    place = q[n, b, a]
                                    for c in range(out.shape[0]):
                                        out[c] = max(out[c], place[c])                                        # R1

    def max_pool(q, y):
        walk(q, kh, kw, sy, sx, dy, dx, top, left, y)

    return max_pool


def real(q, row):
    """The same of real images (n h w c)."""
    every = [np.where(inside[..., None], codes, -np.inf) for _i, _j, codes, inside in seen(row, q)]
    return np.max(every, axis=0)


def reach(operands, row, result, index):
    """What one element of the result is made of: (operands, row, index there): its window alone."""
    part, fields = window_of(operands["q"], row, index)
    return {"q": part}, replace(row, **fields), (0, 0, 0, 0)


def padded_with(code):
    """Places outside the image are that code, and count."""
    def slip(run, operands, row):
        (top, left, bottom, right), fill = row.padding, max(code, row.q.lo)
        q = np.pad(operands["q"], ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
        return run({**operands, "q": q}, row=replace(row, padding=(0, 0, 0, 0)))
    slip.__name__ = slip.__qualname__ = f"padded_with({code})"
    return slip


def first_place_lost(run, operands, row):
    """The window's first place is never looked at, where it has several in a row."""
    if row.kernel[1] < 2 or row.stride[1] > 1 or row.padding[1]:
        return run(operands)
    shorter = replace(row, kernel=(row.kernel[0], row.kernel[1] - 1))
    return run({**operands, "q": np.ascontiguousarray(operands["q"][:, :, row.dilation[1]:])}, row=shorter)


def sign_lost(run, operands, row):
    """Signed codes are compared as if they were unsigned, or the other way round."""
    q = operands["q"]
    flip = np.array(1 << 8 * q.dtype.itemsize - 1, f"u{q.dtype.itemsize}").view(q.dtype)
    return {"y": run({"q": q ^ flip})["y"] ^ flip}


slips = (padded_with(0), padded_with(127), padding_swapped, strides_swapped, first_place_lost, sign_lost, transposed("q"),
         transposed("y"), channels_shifted("y", 1), not_cleared("y", 1))


def r1_an_order_kept_is_a_pool_kept(q, row):
    """A code that grows makes no result smaller."""
    grown = np.minimum(q.astype(np.int64) + 1, row.q.hi)
    return spec(grown, row) == np.minimum(spec(q, row) + 1, row.q.hi)


def r2_results_are_codes_of_the_image(q, row):
    return np.isin(spec(q, row), q)
