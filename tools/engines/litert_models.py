"""Campaigns of LiteRT's sums of products: fully connected, convolutions, batch products; each for one set of its kernels.

Sums are drawn in two ways: of codes of all sizes, whose units make a tenth or more of the results tie or saturate; and deep ones,
which a large bias puts beside a tie, where the last bits of a multiplier and of its arithmetic show. Where kernels take so many
channels at a time (`tail`) and round what is left at the end as the reference does, that is computed by the dialect `tflite`.
"""
import numpy as np

from refq import dialects
from refq.ints.width import I4, I8, I16, I32, I48
from tools.engines.campaign import Campaign, Compared, play
from tools.engines.tflite_models import Tensor, constant, operation, run

ACTIVATIONS = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
KIND = {I4: "int4", I8: "int8", I16: "int16"}


def power(rng, least, most):
    """A float32 scale; half of them are powers of two."""
    return np.float32(2.0 ** (rng.integers(least, most, endpoint=True) if rng.integers(2) else rng.uniform(least, most)))


def spread(rng, scale, count):
    """One scale for each channel, up to four times finer than `scale`; powers of two apart for half of the models."""
    return (scale * 2.0 ** (-rng.integers(0, 2, count, endpoint=True) if rng.integers(2) else -rng.uniform(0, 2, count))
            ).astype(np.float32)


def codes(rng, width, shape):
    """Codes of the whole range, at its rails, or small ones."""
    lo, hi = width.lo, width.hi
    style, dtype = rng.integers(4), width.dtype
    if style == 0:
        return rng.choice(np.array([lo, lo + 1, hi, hi - 1, 0], dtype), shape)
    top = min(hi, (hi, hi, 7)[style - 1])
    return rng.integers(-top - 1, top, shape, dtype, endpoint=True)


def zero(rng, width):
    """A zero point: any, or an end of the range; 16-bit codes have none."""
    return int(rng.choice([width.lo, width.hi, 0, *rng.integers(width.lo, width.hi, 3)])) if width.bits <= 8 else 0


def hard(real, zo, width):
    """How many of the real results are ties, or lie beyond the range."""
    real = np.asarray(real)
    return int(((np.abs(real - np.floor(real) - 0.5) < 1e-6) | (real + zo > width.hi) | (real + zo < width.lo)).sum())


def bounded(kernels, bound, sy, zo):
    """The code of a bound of a fused activation: rounded half away, and the zero point joins; XNNPACK joins it before it rounds,
    half to even, in float32."""
    quotient = np.float32(bound) / np.float32(sy)
    away = zo + np.copysign(np.floor(np.abs(quotient) + 0.5), bound)
    return np.rint(quotient + np.float32(zo)) if kernels == "xnnpack" else away


def fused(rng, y, zo, sy, dialect, kernels, width):
    """(word, codes) of a fused activation: the codes clipped where it says."""
    word = str(rng.choice(["NONE", "NONE", *ACTIVATIONS]))
    lo, hi = (end if bound is None else int(np.clip(bounded(kernels, bound, sy, zo), width.lo, width.hi))
              for bound, end in zip(ACTIVATIONS[word], (width.lo, width.hi)))
    return word, play(dialect, "clip", {"q": width}, {"q": y}, lo=lo, hi=hi)


def playing(dialect, *names):
    """The first of these roles that the dialect has."""
    return next(name for name in names if name in dialects.load(dialect).roles)


def vectors(count, ours, rest):
    """Codes of kernels that take `count` places of the last axis at a time, and what is left at its end."""
    body = ours.shape[-1] // count * count
    return np.concatenate([ours[..., :body], rest[..., body:]], -1)


class Layer:
    """Drawn constants of a layer of `m` channels that each sum `k` products: weights (m k), bias, scales and zero points, and the
    unit of the result; `per`: one scale for each channel."""

    def __init__(self, rng, x, w, m, k, per, biased=True):
        self.x, self.width, self.per, self.out = x, w, per, x
        self.acc = I32 if x.bits <= 8 else I48
        self.zx, self.zo = zero(rng, x), zero(rng, x)
        self.sx, top = power(rng, -16, 3), power(rng, -12, 0)
        self.sw = spread(rng, top, m) if per else top
        self.scales = np.broadcast_to(self.sw, m)
        deep = biased and rng.integers(3) == 0
        self.w = codes(rng, w, (m, k))
        self.w[self.w == w.lo] = w.lo + 1
        if deep:
            self.w[:, 1:], self.w[:, 0] = 0, np.sign(self.w[:, 0])
        reach = np.sqrt(k) * x.hi / 3 * np.maximum(np.abs(self.w).mean(), 0.3)
        reach = float(2.0 ** rng.uniform(22, 29 if self.acc == I32 else 40)) if deep else reach
        unit = float(self.sx) * float(np.max(self.sw)) * reach / (x.hi * rng.uniform(0.4, 3))
        self.sy = np.float32(2.0 ** np.round(np.log2(unit)) if rng.integers(2) else unit)
        self.real = np.float64(self.sx) * self.scales.astype(np.float64) / np.float64(self.sy)
        ties = np.rint((rng.integers(x.lo, x.hi, m) + 0.5) / self.real) + rng.integers(-20, 20, m)
        bias = ties if deep else rng.normal(0, reach / 3, m)
        top = 1 << (30 if self.acc == I32 else 44)
        self.bias = np.clip(np.rint(bias), -top, top).astype(np.int32 if self.acc == I32 else np.int64) * biased

    def tensors(self, shape, weights, axis, given):
        """The Tensors of a model: of x and the constants, and of y."""
        w = constant(weights, KIND[self.width], self.sw, axis=axis)
        bias = constant(self.bias, scale=self.sx * np.atleast_1d(self.sw))
        return [Tensor(shape, KIND[self.x], self.sx, self.zx), w, bias], [Tensor(given, KIND[self.x], self.sy, self.zo)]

    @property
    def widths(self):
        return {"x": self.x, "w": self.width, "acc": self.acc}

    def constants(self, weights):
        return {"w": weights, "bias": self.bias, "zx": self.x.dtype.type(self.zx),
                "zw": np.zeros(len(self.scales), self.width.dtype)}

    def finished(self, dialect, acc, role, tail=1):
        """The codes that the register becomes."""
        if tail > 1:
            return vectors(tail, self.finished(dialect, acc, role), self.finished("tflite", acc, role))
        wide = self.acc != I32 and role == "rescale"
        return play(dialect, "rescale_wide" if wide else role, {"acc": self.acc, "out": self.out}, {"acc": acc},
                    factors=(self.sx, self.scales), unit=self.sy, zin=0, zp=self.zo)

    def __str__(self):
        return (f"scales {float(self.sx)!r}, {np.ravel(self.sw)[:3].tolist()} to {float(self.sy)!r}, zero points {self.zx}, "
                f"{self.zo}, bias {self.bias[:3].tolist()}")


def connected(dialect, kernels, x, w, per, rng, even=False, held=None):
    """FULLY_CONNECTED; `even`: k is; `held`: the width that a sum wraps at before its register does."""
    n, m, k = int(rng.integers(300, 600)), int(rng.integers(120, 200)), int(rng.integers(1, 64)) << even
    layer, taken = Layer(rng, x, w, m, k, per), codes(rng, x, (n, k))
    acc = play(dialect, "matmul", layer.widths, {"x": taken, **layer.constants(layer.w)})
    acc = held.wrap(acc).astype(acc.dtype) if held else acc
    role = "rescale_linear_wide" if x == I16 else "rescale_linear_channels" if per else "rescale_linear"
    y = layer.finished(dialect, acc, playing(dialect, role, "rescale"))
    word, ours = fused(rng, y, layer.zo, layer.sy, dialect, kernels, x)
    inputs, outputs = layer.tensors((n, k), layer.w, 0, (n, m))
    model = operation("FULLY_CONNECTED", inputs, outputs, "FullyConnected", fusedActivationFunction=word)
    return Compared(ours, run(model, [taken], kernels)[0], hard(acc * layer.real, layer.zo, x), f"{k} products, {word}, {layer}")


def unbiased(dialect, kernels, x, w, per, rng):
    """FULLY_CONNECTED of 16-bit codes without a bias, which the fast kernels sum in 32 bits."""
    n, m, k = int(rng.integers(300, 600)), int(rng.integers(120, 200)), int(rng.integers(1, 64))
    layer, taken = Layer(rng, x, w, m, k, per, biased=False), codes(rng, x, (n, k))
    layer.acc, layer.bias = I32, layer.bias.astype(np.int32)
    acc = play(dialect, "matmul", layer.widths, {"x": taken, **layer.constants(layer.w)})
    y = layer.finished(dialect, acc, "rescale_linear_channels" if per else "rescale_linear")
    (given, weights, _), outputs = layer.tensors((n, k), layer.w, 0, (n, m))
    model = operation("FULLY_CONNECTED", [given, weights, None], outputs, "FullyConnected")
    return Compared(y, run(model, [taken], kernels)[0], hard(acc * layer.real, 0, x), f"{k} products, {layer}")


def window(rng, depth):
    """(shape of images, kernel, stride, dilation, padding word, padding) of a convolution."""
    kernel = tuple(int(v) for v in rng.choice([(1, 1), (3, 3), (2, 3), (1, 4)]))
    stride, dilation = (1, 1), (1, 1)
    if rng.integers(2):
        stride = tuple(int(v) for v in rng.integers(1, 3, 2))
    elif rng.integers(2):
        dilation = tuple(int(v) for v in rng.integers(1, 3, 2))
    h, w = (int(v) for v in rng.integers(24, 40, 2) * stride)
    word, padding = str(rng.choice(["SAME", "VALID"])), (0, 0, 0, 0)
    if word == "SAME":
        total = [max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
                 for size, k, s, d in zip((h, w), kernel, stride, dilation)]
        padding = (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2)
    return (1, h, w, depth), kernel, stride, dilation, word, padding


def convolved(dialect, kernels, x, w, per, rng, depthwise=False, tail=1):
    """CONV_2D, or DEPTHWISE_CONV_2D with one or two filters for each channel."""
    depth = int(rng.integers(1, 24))
    shape, (kh, kw), stride, dilation, word, padding = window(rng, depth)
    each, groups = (1, depth) if depthwise else (depth, 1)
    m = depth * int(rng.integers(1, 3)) if depthwise else int(rng.integers(30, 60))
    layer, taken = Layer(rng, x, w, m, kh * kw * each, per), codes(rng, x, shape)
    weights = layer.w.reshape(m, kh, kw, each)
    geometry = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    acc = play(dialect, "conv2d", layer.widths | geometry, {"x": taken, **layer.constants(weights)})
    activation, ours = fused(rng, layer.finished(dialect, acc, "rescale", tail), layer.zo, layer.sy, dialect, kernels, x)
    name, settings = ("DEPTHWISE_CONV_2D", {"depthMultiplier": m // depth}) if depthwise else ("CONV_2D", {})
    lying = weights.transpose(3, 1, 2, 0) if depthwise else weights
    inputs, outputs = layer.tensors(shape, np.ascontiguousarray(lying), 3 * depthwise, acc.shape)
    model = operation(name, inputs, outputs, "DepthwiseConv2D" if depthwise else "Conv2D", padding=word, strideH=stride[0],
                      strideW=stride[1], dilationHFactor=dilation[0], dilationWFactor=dilation[1],
                      fusedActivationFunction=activation, **settings)
    return Compared(ours, run(model, [taken], kernels)[0], hard(acc * layer.real, layer.zo, x),
                    f"{shape} by {weights.shape}, {geometry}, {activation}, {layer}")


def transposed(dialect, kernels, x, w, per, rng, tail=1):
    """TRANSPOSE_CONV, with a bias."""
    depth, m = int(rng.integers(1, 12)), int(rng.integers(8, 24))
    h, wide, kh, kw, sy, sx = (int(v) for v in (*rng.integers(12, 20, 2), *rng.integers(2, 5, 2), *rng.integers(1, 3, 2)))
    word, padding = str(rng.choice(["SAME", "VALID"])), (0, 0, 0, 0)
    size = [(n - 1) * s + max(k, s) if word == "VALID" else n * s for n, s, k in ((h, sy, kh), (wide, sx, kw))]
    total = [(n - 1) * s + k - o for n, s, k, o in ((h, sy, kh, size[0]), (wide, sx, kw, size[1]))]
    before = [max(t, 0) // 2 for t in total]
    padding = (before[0], before[1], total[0] - before[0], total[1] - before[1])
    layer, taken = Layer(rng, x, w, m, kh * kw * depth, per), codes(rng, x, (1, h, wide, depth))
    weights = layer.w.reshape(m, kh, kw, depth)
    acc = play(dialect, "conv_transpose2d", layer.widths | {"stride": (sy, sx), "padding": padding},
               {"x": taken, **layer.constants(weights)})
    ours = layer.finished(dialect, acc, "rescale", tail)
    (image, filters, bias), outputs = layer.tensors(taken.shape, weights, 0, acc.shape)
    model = operation("TRANSPOSE_CONV", [constant(np.array(acc.shape, np.int32)), filters, image, bias], outputs,
                      "TransposeConv", padding=word, strideH=sy, strideW=sx)
    return Compared(ours, run(model, [taken], kernels)[0], hard(acc * layer.real, layer.zo, x),
                    f"{taken.shape} by {weights.shape}, {word}, stride {sy, sx}, {layer}")


def paired(dialect, kernels, x, w, per, rng, zeros=None):
    """BATCH_MATMUL of two activations; `zeros`: whether the zero point of the second one is 0."""
    n, r, m, k = 2, int(rng.integers(150, 200)), int(rng.integers(150, 200)), int(rng.integers(1, 64))
    layer, zw = Layer(rng, x, x, m, k, False, biased=False), zero(rng, x)
    zw = {True: 0, False: zw or 1, None: zw}[zeros]
    taken, other = codes(rng, x, (n, r, k)), codes(rng, x, (n, m, k))
    if x == I16:
        other //= 16
    acc = play(dialect, "batch_matmul", {"x": x, "w": x, "acc": layer.acc},
               {"x": taken, "w": other, "zx": x.dtype.type(layer.zx), "zw": x.dtype.type(zw)})
    unit = float(layer.sx) * float(layer.sw) * max(np.abs(acc).mean(), 1) / (x.hi * rng.uniform(0.4, 2))
    layer.sy = np.float32(2.0 ** np.round(np.log2(unit)) if rng.integers(2) else unit)
    ours = layer.finished(dialect, acc, "rescale" if x == I16 or zeros else playing(dialect, "rescale_batch_matmul", "rescale"))
    across = bool(rng.integers(2))
    tensors = [Tensor(taken.shape, KIND[x], layer.sx, layer.zx),
               Tensor((n, m, k) if across else (n, k, m), KIND[x], layer.sw, zw)]
    model = operation("BATCH_MATMUL", tensors, [Tensor((n, r, m), KIND[x], layer.sy, layer.zo)], "BatchMatMul", adjY=across)
    theirs = run(model, [taken, other if across else np.ascontiguousarray(other.swapaxes(1, 2))], kernels)[0]
    real = acc * (np.float64(layer.sx) * np.float64(layer.sw) / np.float64(layer.sy))
    return Compared(ours, theirs, hard(real, layer.zo, x), f"{k} products, zero point {zw}, {layer}")


def campaign(name, dialect, kernels, batch, x, w=I8, per=False, **how):
    per_words = " per channel" if per else ""
    weights = "" if w == I8 else f", {KIND[w]} weights"
    return Campaign(f"{name} {KIND[x]}{weights}{per_words}", dialect, lambda rng: batch(dialect, kernels, x, w, per, rng, **how))


def depthwise(*told, **how):
    return convolved(*told, depthwise=True, **how)
