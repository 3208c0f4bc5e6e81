"""Campaigns of PyTorch's quantized operators, for each of its quantized engines: `campaigns(engine, ...)`.

Codes are wrapped as quantized tensors, so that nothing is quantized on the way. Scales are powers of two half the time, so that
results tie, and of 24 bits otherwise; the scale of an output is chosen so that some of it saturates, now and then any scale.
Run as a program, this file answers `here` for another process (see emulated in onnx_models.py).
"""
import warnings

import numpy as np

from refq.ints.width import I8, I32, U8
from tools.engines.campaign import Compared, play
from tools.engines.onnx_models import serve
from tools.engines.qlinear_models import F, drawn, named, scale, zeros

COUNT = 60_000


def torch(engine="x86"):
    """The module, with that quantized engine; raises ImportError where this build has none."""
    import torch
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    warnings.filterwarnings("ignore", message=".*quantiz.*")
    if engine not in torch.backends.quantized.supported_engines:
        raise ImportError(f"torch {torch.__version__} has no quantized engine {engine}")
    torch.backends.quantized.engine = engine
    return torch


def version(engine):
    return torch(engine).__version__.split("+")[0]


def tensor(t, codes, scale, zero):
    """Codes as a quantized tensor: per tensor, or per channel of the first axis where `scale` is an array."""
    codes = t.from_numpy(np.ascontiguousarray(codes))
    if np.ndim(scale):
        zero = np.broadcast_to(zero, scale.shape).astype(np.int64)
        return t._make_per_channel_quantized_tensor(codes, t.from_numpy(scale.astype(np.float64)), t.from_numpy(zero.copy()), 0)
    return t._make_per_tensor_quantized_tensor(codes, float(scale), int(zero))


def codes_of(quantized):
    return quantized.int_repr().numpy()


def stretched(rng, real, least, even):
    """A scale of the output, at least `least`, under which some of the reals saturate."""
    spread = max(float(np.std(real)) / rng.choice([60, 90, 120, 200]), least)
    return F(2.0 ** np.round(np.log2(spread)) if even else spread)


def hardness(real, codes, width, floor=None):
    """How many codes are ties or saturated; `floor`: the zero point that a ReLU clips at."""
    clipped = (codes == width.lo) | (codes == width.hi) | (codes == floor if floor is not None else False) & (real < 0)
    finite = np.where(np.isfinite(real), real, 0)
    return int((clipped | (finite - np.floor(finite) == 0.5)).sum())


class Weighted:
    """Scales, zero points and a float32 bias of a product of activations and weights; `zw` is 0 where weights are symmetric, and
    not all 0 where they are not: engines choose kernels by that."""

    def __init__(self, rng, channels, per_channel, symmetric):
        self.even = bool(rng.integers(0, 2))
        self.sx = scale(rng, self.even)
        self.sw = scale(rng, self.even, (channels,) if per_channel else ())
        if per_channel:         # near each other, so that one output scale suits them
            self.sw = np.maximum(self.sw, self.sw.max() * F(2.0 ** -5))
        self.zx = zeros(rng, U8)
        self.zw = np.asarray(zeros(rng, I8, self.sw.shape) * np.int8(not symmetric))
        if not symmetric and not self.zw.any():
            self.zw.flat[-1] = 1
        self.zy = int(zeros(rng, U8))
        self.biased, self.per_channel, self.channels = bool(rng.integers(0, 4)), per_channel, channels

    def output(self, rng, acc):
        """Draws the output's scale and the bias, now that the sums are known."""
        fitting = stretched(rng, acc * self.product, float(self.product.min()), self.even)
        self.sy = fitting if rng.integers(0, 8) else scale(rng, self.even)
        halves = rng.integers(-40, 40, self.channels) / 2
        where = (self.product.max() * acc.std() / 20) if rng.integers(0, 2) else self.product       # in reals, or near ties
        self.bias = ((rng.normal(size=self.channels) if rng.integers(0, 2) else halves) * where).astype(F) * self.biased

    @property
    def passed(self):
        """As the engine takes them."""
        return self.sx, self.zx, self.sw, self.zw, self.bias if self.biased else None, self.sy, self.zy

    @property
    def product(self):
        return np.asarray(self.sx.astype(np.float64) * self.sw)

    def real(self, acc):
        return (acc * self.product + self.bias) / self.sy.astype(np.float64)

    def __str__(self):
        return (f"sx {self.sx!r}, zx {self.zx}, sw {np.ravel(self.sw)[:3]}, zw {np.ravel(self.zw)[:3]}, sy {self.sy!r}, "
                f"zy {self.zy}, bias {self.bias[:3]}")


def linear_of(engine, relu, x, w, sx, zx, sw, zw, bias, sy, zy):
    """quantized::linear or linear_relu of arrays of codes."""
    t = torch(engine)
    packed = t.ops.quantized.linear_prepack(tensor(t, w, sw, zw), None if bias is None else t.from_numpy(bias))
    made = t.ops.quantized.linear_relu if relu else t.ops.quantized.linear
    return codes_of(made(tensor(t, x, sx, zx), packed, float(sy), zy))


def conv_of(engine, relu, x, w, sx, zx, sw, zw, bias, sy, zy, *geometry):
    """quantized::conv2d or conv2d_relu of images (n h w c) that lie so, and weights (m kh kw d); `geometry`: stride, padding,
    dilation, groups."""
    t = torch(engine)
    bias = None if bias is None else t.from_numpy(bias)
    packed = t.ops.quantized.conv2d_prepack(tensor(t, w.transpose(0, 3, 1, 2), sw, zw), bias, *geometry)
    image = t.from_numpy(x).permute(0, 3, 1, 2)
    image = t._make_per_tensor_quantized_tensor(image.contiguous(memory_format=t.channels_last), float(sx), int(zx))
    made = t.ops.quantized.conv2d_relu if relu else t.ops.quantized.conv2d
    return codes_of(made(image, packed, float(sy), zy)).transpose(0, 2, 3, 1)


def here(name, *operands):
    """One of these by name, in this process."""
    return {f.__name__: f for f in (linear_of, conv_of)}[name](*operands)


def bias_in_codes(given):
    """A float bias as int32 codes of s_x*s_w, by the reciprocal: QNNPACK's."""
    unit = (given.sx * given.sw).astype(F)
    return np.clip(np.rint((given.bias * (F(1) / unit)).astype(F).astype(np.float64)), I32.lo, I32.hi).astype(np.int32)


def finished(dialect, role, acc, given):
    """Codes of an accumulator that has no bias yet: by a role that takes a float one, or after it is added as codes."""
    factors = [np.full(given.channels, given.sx), np.broadcast_to(given.sw, given.channels)]
    if role != "rescale":
        return play(dialect, role, {"acc": I32, "out": U8, "weights": "channel" if given.per_channel else "tensor"}, {"acc": acc},
                    factors=factors, unit=given.sy, zin=0, zp=given.zy, bias=given.bias)
    return play(dialect, role, {"acc": I32, "out": U8}, {"acc": acc + bias_in_codes(given)}, factors=factors, unit=given.sy,
                zin=0, zp=given.zy)


def rectified(dialect, codes, zero, width=U8):
    """ReLU: a clip at the zero point."""
    return play(dialect, "clip", {"q": width}, {"q": codes.ravel()}, lo=zero, hi=width.hi).reshape(codes.shape)


def linear(by, engine, dialect, role, per_channel, symmetric, relu, rng):
    """quantized::linear and linear_relu."""
    n, k = int(rng.choice([1, 3, 40, 129, 600])), int(rng.choice([1, 2, 5, 16, 33, 64, 131, 300]))
    m = int(np.clip(COUNT // n, 1, 1200)) + int(rng.integers(0, 9))
    n = max(n, COUNT // m)
    given = Weighted(rng, m, per_channel, symmetric)
    x, w = drawn(rng, U8, (n, k)), drawn(rng, I8, (m, k))
    acc = play(dialect, "matmul", {"x": U8, "w": I8, "acc": I32}, {"x": x}, w=w, bias=None, zx=given.zx, zw=given.zw)
    given.output(rng, acc)
    theirs = by("linear_of", engine, relu, x, w, *given.passed)
    ours = finished(dialect, role, acc, given)
    ours = rectified(dialect, ours, given.zy) if relu else ours
    return Compared(ours, theirs, hardness(given.real(acc), ours, U8, given.zy if relu else None), f"{n} x {k} x {m}: {given}")


STALE = ("onednn", "x86")
"""The engines that take symmetric weights to oneDNN, where a window that lies wholly in the padding of an image of one channel a
group is made of memory that nobody wrote: no arithmetic to hold; such windows are not drawn there."""
GEOMETRIES = ((1, 1), (3, 3), (3, 3), (5, 5), (1, 3), (2, 2))


def conv(by, engine, dialect, role, kind, per_channel, symmetric, relu, rng):
    """quantized::conv2d and conv2d_relu: dense, in groups or depthwise; images lie with their channels last."""
    kh, kw = GEOMETRIES[rng.integers(0, len(GEOMETRIES))]
    stride, dilation = (tuple(int(v) for v in rng.choice([1, 1, 2], 2)) for _ in range(2))
    pad = tuple(int(v) for v in rng.integers(0, 3, 2))
    groups = {"dense": 1, "groups": int(rng.choice([2, 3, 4, 8])), "depthwise": int(rng.choice([1, 8, 16, 24, 32, 40]))}[kind]
    d = 1 if kind == "depthwise" else int(rng.choice([1, 3, 4, 8, 16, 20]))
    m = groups if kind == "depthwise" else groups * int(rng.choice([1, 4, 8, 11]))
    if d == 1 and symmetric and engine in STALE:
        pad = tuple(min(p, e * (q - 1)) for p, e, q in zip(pad, dilation, (kh, kw)))
    h, width = (int(v) + 4 for v in rng.integers(5, 18, 2))
    oh, ow = ((v + 2 * p - e * (q - 1) - 1) // s + 1 for v, p, e, q, s in zip((h, width), pad, dilation, (kh, kw), stride))
    n = int(np.clip(COUNT // (oh * ow * m), 1, 40))
    given = Weighted(rng, m, per_channel, symmetric)
    x, w = drawn(rng, U8, (n, h, width, d * groups)), drawn(rng, I8, (m, kh, kw, d))
    widths = {"x": U8, "w": I8, "acc": I32, "stride": stride, "padding": pad + pad, "dilation": dilation, "groups": groups}
    acc = play(dialect, "conv2d", widths, {"x": x}, w=w, bias=None, zx=given.zx, zw=given.zw)
    given.output(rng, acc)
    theirs = by("conv_of", engine, relu, x, w, *given.passed, stride, pad, dilation, groups)
    ours = finished(dialect, role, acc.reshape(-1, m), given).reshape(acc.shape)
    ours = rectified(dialect, ours, given.zy) if relu else ours
    return Compared(ours, theirs, hardness(given.real(acc), ours, U8, given.zy if relu else None),
                    f"{x.shape} by {w.shape}, stride {stride}, padding {pad}, dilation {dilation}, groups {groups}: {given}")


SUMS = [(per, symmetric, relu) for per in (False, True) for symmetric in (True, False) for relu in (False, True)]


def said(per_channel, symmetric, relu):
    return f"{' relu' * relu} {'per channel' if per_channel else 'per tensor'}{'' if symmetric else ', weights with zero points'}"


def linears(engine, dialect, role, symmetric=(True, False), by=here):
    return [named(f"linear{said(per, sym, relu)}", dialect, linear, by, engine, dialect, role, per, sym, relu)
            for per, sym, relu in SUMS if sym in symmetric]


def convs(engine, dialect, role, symmetric=(True, False), kinds=("dense", "groups", "depthwise"), by=here):
    return [named(f"conv2d {kind}{said(per, sym, relu)}", dialect, conv, by, engine, dialect, role, kind, per, sym, relu)
            for kind in kinds for per, sym, relu in SUMS if sym in symmetric and (relu == per)]


if __name__ == "__main__":
    serve(here)
