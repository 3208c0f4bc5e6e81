"""conv2d: a window slides over an image; under it, activations times weights, plus a bias, in an accumulator.

    acc[n, oy, ox, m] = bias + sum over i, j, d of (x[n, iy, ix, d] - zx) * (w[m, i, j, d] - zw)
    iy = oy*sy + i*dy - top,   ix = ox*sx + j*dx - left

units    acc and bias count s_x*s_w; images are (n h w c), weights (m kh kw d) with d = c / groups
R1       the zero points are taken off before the product
R2       a place outside the image reads zx, so it adds 0
R3       channel m sees the d channels of its own group; all groups have as many
R4       the sum starts with the bias
R5       the products join it in the order i, j, d, as the row says: exactly where it says nothing, and what does not
         fit is refused; as in matmul where it says that the codes themselves are multiplied
error    exact while the accumulator is not left
source   Jacob et al. 2018, section 2.3; ONNX ConvInteger; TOSA 1.0 CONV2D, DEPTHWISE_CONV2D
"""
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from refq.ints.accumulate import Accumulate, combined
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, negated, not_cleared, transposed
from refq.ints.width import I8, I32, I64, Width
from refq.machine.linear import admit, rule_of, weighted, weighted_registers
from refq.machine.window import admit_geometry, conv, placed, places


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    accumulate: Accumulate | None = None
    stride: tuple = decided((1, 1))
    padding: tuple = decided((0, 0, 0, 0))
    dilation: tuple = decided((1, 1))
    groups: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        for name in ("stride", "padding", "dilation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        admit_geometry(self)
        admit(self, "conv2d")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n [h] [w] [c]"), "w": self.w("m [kh] [kw] [d]"), "bias": bias, "zx": self.x(),
                "zw": self.w("m")}

    @property
    def gives(self):
        return {"acc": self.acc("n oh ow m")}

    def sizes(self, found):
        return placed(self, found)


build, registers = weighted, weighted_registers


def spec(x, w, bias, zx, zw, row, at=unwatched):
    x, w = x.astype(np.int64) - zx, w.astype(np.int64) - zw.astype(np.int64)[:, None, None, None]     # R1
    (m, kh, kw, d), (top, left, bottom, right), groups = w.shape, row.padding, row.groups
    (sy, sx), (dy, dx) = row.stride, row.dilation
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))                                # R2
    n, height, width, _ = padded.shape
    oh, ow = places(height, kh, sy, dy), places(width, kw, sx, dx)
    padded, w = padded.reshape(n, height, width, groups, d), w.reshape(groups, m // groups, kh, kw, d)     # R3
    start = np.zeros((n, oh, ow, m), np.int64) + bias                                                 # R4

    def product(padded, w, k):
        i, j, c = k // d // kw, k // d % kw, k % d
        seen = padded[:, i * dy:, j * dx:, :, c][:, :(oh - 1) * sy + 1:sy, :(ow - 1) * sx + 1:sx]
        return (seen[..., None] * w[:, :, i, j, c]).reshape(start.shape)

    codes = padded + zx, w + zw.astype(np.int64).reshape(groups, m // groups, 1, 1, 1)
    return combined(partial(product, padded, w), partial(product, *codes), kh * kw * d, rule_of(row), start, at)     # R5


@cache
def kernel(row):
    return conv(row.x, row.w, rule_of(row), row.stride, row.padding, row.dilation, row.groups)     # R1 R2 R3 R4 R5


def real(x, w, bias, row):
    """The convolution of real images (n h w c) with filters (m kh kw d); acc is it in units of s_x*s_w."""
    (top, left, bottom, right), (sy, sx), (dy, dx), (kh, kw) = row.padding, row.stride, row.dilation, w.shape[1:3]
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (dy * (kh - 1) + 1, dx * (kw - 1) + 1), (1, 2))
    groups = np.split(windows[:, ::sy, ::sx, :, ::dy, ::dx], row.groups, axis=3)
    return np.concatenate([np.einsum("nyxdij,mijd->nyxm", seen, filters)
                           for seen, filters in zip(groups, np.split(w, row.groups))], axis=3) + bias


def reach(operands, row, result, index):
    """What one element of the result is made of: (operands, row, index there): one window, one filter, no padding."""
    x, w = operands["x"], operands["w"]
    (n, oy, ox, f), (_, kh, kw, d), (top, left, bottom, right) = index, w.shape, row.padding
    group, (sy, sx), (dy, dx) = f // (len(w) // row.groups) * d, row.stride, row.dilation
    padded = np.pad(x[n:n + 1, :, :, group:group + d], ((0, 0), (top, bottom), (left, right), (0, 0)),
                    constant_values=operands["zx"])
    window = padded[:, oy * sy:oy * sy + dy * (kh - 1) + 1:dy, ox * sx:ox * sx + dx * (kw - 1) + 1:dx]
    part = {k: v if k in ("x", "zx") else v[f:f + 1] for k, v in operands.items()}
    plain = replace(row, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1)
    return {**part, "x": np.ascontiguousarray(window)}, plain, (0, 0, 0, 0)


def padded_with_zero(run, operands, row):
    """The padding reads the code 0 where it should read the zero point."""
    top, left, bottom, right = row.padding
    x = np.pad(operands["x"], ((0, 0), (top, bottom), (left, right), (0, 0)))
    return run({**operands, "x": x}, row=replace(row, padding=(0, 0, 0, 0)))


def padding_swapped(run, operands, row):
    """Padding is put before the image that belongs behind it, and the other way round."""
    return run(operands, row=replace(row, padding=row.padding[2:] + row.padding[:2]))


def kernel_mirrored(run, operands, row):
    """A convolution as mathematicians write it: the window is read backwards."""
    return run({**operands, "w": np.ascontiguousarray(operands["w"][:, ::-1, ::-1])})


slips = (bias_dropped, negated("zx"), dropped("zw"), padded_with_zero, padding_swapped, kernel_mirrored,
         transposed("w"), transposed("acc"), channels_shifted("bias", 1), channels_shifted("acc", 1),
         not_cleared("acc", 1))


def r1_zero_points_shift_the_codes(x, w, bias, zx, zw, row):
    """Products are of differences: codes less their zero points, under zero points of 0, give the same."""
    if rule_of(row).products == "codes":
        return True
    moved = w.astype(np.int64) - zw.astype(np.int64)[:, None, None, None]
    return spec(x.astype(np.int64) - zx, moved, bias, 0, 0 * zw, row) == spec(x, w, bias, zx, zw, row)


def r2_padding_is_an_image_of_zero_points(x, w, bias, zx, zw, row):
    top, left, bottom, right = row.padding
    framed = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=zx)
    return spec(framed, w, bias, zx, zw, replace(row, padding=(0, 0, 0, 0))) == spec(x, w, bias, zx, zw, row)


def r3_groups_are_convolutions_of_their_own(x, w, bias, zx, zw, row):
    d, each, alone = w.shape[3], len(w) // row.groups, replace(row, groups=1)
    parts = [spec(x[..., g * d:(g + 1) * d], *(a[g * each:(g + 1) * each] for a in (w, bias)), zx,
                  zw[g * each:(g + 1) * each], alone) for g in range(row.groups)]
    return np.concatenate(parts, axis=3) == spec(x, w, bias, zx, zw, row)


def r4_an_image_of_zero_points_gives_the_bias(x, w, bias, zx, zw, row):
    return rule_of(row).products == "codes" or spec(np.full_like(x, zx), w, bias, zx, zw, row) == bias
