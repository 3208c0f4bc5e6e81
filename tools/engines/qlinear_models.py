"""Campaigns of quantized ONNX operations, for whatever runs ONNX models: `sums(dialect, run)`, `codes(dialect, run)`, ...

Scales are powers of two half the time, so that results tie, and of 24 bits otherwise; the scale of an output is chosen so that
some of it saturates. `run` is that of onnx_models.py, perhaps bound to an engine.
"""
from functools import partial

import numpy as np

from refq import dialects
from refq.ints.width import I8, I32, U8, Width
from tools.engines.campaign import Campaign, Compared, play
from tools.engines.onnx_models import MICROSOFT

F = np.float32
NAMES = "x sx zx w sw zw sy zy"
I4, U4 = Width(4), Width(4, False)
PAIRS = ((U8, U8), (U8, I8), (I8, I8))
NARROW = {I4: "int4", U4: "uint4"}


def scale(rng, even, shape=(), least=-20, most=4):
    """Float32 scales from 2**least to 2**most."""
    if even:
        return np.asarray(np.exp2(rng.integers(least, most, shape, endpoint=True)), F)
    return np.asarray(np.ldexp(rng.uniform(0.5, 1, shape), rng.integers(least + 1, most, shape, endpoint=True)), F)


def alike(rng, even, shape):
    """Scales of channels, a factor of 8 about each other; one where the shape is ()."""
    middle = scale(rng, even)
    return np.asarray(middle * scale(rng, even, shape, -2, 1), F) if shape else middle


def drawn(rng, width, shape=()):
    """Codes: uniform, at the rails, small, or all alike."""
    style, lo, hi = rng.integers(0, 6), width.lo, width.hi
    if style == 0:
        made = rng.choice(np.array([lo, lo, lo + 1, (lo + hi) // 2, hi - 1, hi, hi]), shape)
    elif style == 1:
        middle = (lo + hi + 1) // 2
        made = rng.integers(middle - 3, middle + 3, shape, endpoint=True)
    elif style == 2:
        made = np.full(shape, rng.integers(lo, hi, endpoint=True))
    else:
        made = rng.integers(lo, hi, shape, endpoint=True)
    return np.asarray(made, width.dtype)


def zeros(rng, width, shape=()):
    """Zero points: anything, an end, the middle."""
    style = rng.integers(0, 4)
    middle = (width.lo + width.hi + 1) // 2
    made = {0: middle, 1: (width.lo, width.hi)[rng.integers(0, 2)]}.get(int(style))
    return np.asarray(np.full(shape, made) if made is not None else rng.integers(width.lo, width.hi, shape, endpoint=True),
                      width.dtype)


def hard(exact, codes, width):
    """How many results are ties, by their real values in units of the result, or saturated."""
    finite = np.where(np.isfinite(exact), exact, 0)
    return int(((finite - np.floor(finite) == 0.5) | (codes == width.lo) | (codes == width.hi)).sum())


def beyond(acc):
    """How many sums leave 16 bits."""
    return int((abs(acc.astype(np.int64)) >= 1 << 15).sum())


def fitting(rng, acc, product, even):
    """A scale of the output under which most sums stay in range and some saturate."""
    spread = max(float(np.std(acc.astype(np.float64))), 1.0) / rng.choice([30, 90, 120, 160, 240])
    spread = 2.0 ** np.round(np.log2(spread)) if even else spread
    return np.asarray(np.float64(np.max(product)) * spread, F)


def frozen(rng, constant, *names):
    """Weights are constants of the model, as they mostly are (or must be: `constant`), or fed."""
    return names if constant or rng.integers(0, 4) else ()


def sizes(rng):
    """(n, k, m) of a product: more than 50,000 sums, odd sizes too."""
    n = int(rng.choice([1, 7, 64, 96, 129, 250]))
    k = int(rng.choice([1, 2, 3, 8, 17, 33, 64, 133, 260]))
    return n, k, 60_000 // n + int(rng.integers(0, 17))


def product(dialect, run, constant, x, w, columns, rng):
    """QLinearMatMul."""
    (n, k, m), even = sizes(rng), rng.integers(0, 2)
    channels = (m,) if columns else ()
    feeds = {"x": drawn(rng, x, (n, k)), "sx": scale(rng, even), "zx": zeros(rng, x), "w": drawn(rng, w, (k, m)),
             "sw": alike(rng, even, channels), "zw": zeros(rng, w, channels), "zy": zeros(rng, x)}
    acc = play(dialect, "matmul", {"x": x, "w": w}, {"x": feeds["x"]}, w=feeds["w"].T, bias=None, zx=feeds["zx"], zw=feeds["zw"])
    feeds["sy"] = fitting(rng, acc, feeds["sx"].astype(float) * feeds["sw"], even)
    theirs = run(feeds, ("QLinearMatMul", NAMES, "y", {}), frozen=frozen(rng, constant, *"sx zx w sw zw sy zy".split()))[0]
    return finished(dialect, x, acc, (feeds["sx"], feeds["sw"]), feeds["sy"], feeds["zy"], theirs, f"{n} x {k} x {m}")


def finished(dialect, out, acc, factors, unit, zero, theirs, witness):
    """The sums (... c) on the grid of the output, beside what the engine gave."""
    spread = [np.broadcast_to(np.asarray(f, np.float64), acc.shape[-1:]) for f in factors]
    ours = play(dialect, "rescale", {"acc": I32, "out": out}, {"acc": acc}, factors=spread, unit=float(unit), zin=0, zp=zero)
    real = acc * (np.prod(spread, 0).astype(F) / unit).astype(np.float64)
    said = ", ".join(f"{np.ravel(f)[:3].tolist()}" for f in (*factors, unit, zero))
    return Compared(ours, theirs, hard(real, ours, out), f"{witness}, scales and zero point {said}")


def integers(dialect, run, constant, x, w, columns, rng):
    """MatMulInteger: exact sums, of which those are hard that a register of 16 bits would not hold."""
    n, k, m = sizes(rng)
    channels = (m,) if columns else ()
    feeds = {"x": drawn(rng, x, (n, k)), "w": drawn(rng, w, (k, m)), "zx": zeros(rng, x), "zw": zeros(rng, w, channels)}
    ours = play(dialect, "matmul", {"x": x, "w": w}, {"x": feeds["x"]}, w=feeds["w"].T, bias=None, zx=feeds["zx"], zw=feeds["zw"])
    theirs = run(feeds, ("MatMulInteger", "x w zx zw", "y", {}), frozen=frozen(rng, constant, "w", "zw"))[0]
    return Compared(ours, theirs, beyond(ours), f"{n} x {k} x {m}, zero points {feeds['zx']}, {np.ravel(feeds['zw'])[:3]}")


def floats(dialect, run, constant, x, w, columns, biased, rng):
    """MatMulIntegerToFloat: the sums, dequantized; those are hard that float32 rounds."""
    (n, k, m), even = sizes(rng), rng.integers(0, 2)
    channels = (m,) if columns else ()
    feeds = {"x": drawn(rng, x, (n, k)), "w": drawn(rng, w, (k, m)), "sx": scale(rng, even), "sw": alike(rng, even, channels),
             "zx": zeros(rng, x), "zw": zeros(rng, w, channels)}
    acc = play(dialect, "matmul", {"x": x, "w": w}, {"x": feeds["x"]}, w=feeds["w"].T, bias=None, zx=feeds["zx"], zw=feeds["zw"])
    unit = np.broadcast_to(feeds["sx"] * feeds["sw"], (m,))
    ours = play(dialect, "dequantize", {"q": I32}, {"q": acc}, scale=unit, zp=0)
    if biased:
        feeds["b"] = np.asarray(rng.normal(size=m) * np.max(unit), F)
        ours = ours + feeds["b"]
    theirs = run(feeds, ("MatMulIntegerToFloat", "x w sx sw zx zw" + " b" * biased, "y", MICROSOFT),
                 frozen=frozen(rng, constant, "w", "sw", "zw"))[0]
    inexact = int((ours != acc * unit.astype(float)).sum())
    return Compared(ours, theirs, inexact, f"{n} x {k} x {m}, {feeds['sx']}, {np.ravel(feeds['sw'])[:3]}")


def gemm(dialect, run, constant, x, w, columns, rng):
    """QGemm with an int32 bias, either operand transposed, and alpha."""
    (n, k, m), even = sizes(rng), rng.integers(0, 2)
    channels, alpha = (m,) if columns else (), float(F(rng.choice([1.0, 0.5, 0.3, 1.7])))
    feeds = {"x": drawn(rng, x, (n, k)), "sx": scale(rng, even), "zx": zeros(rng, x), "w": drawn(rng, w, (k, m)),
             "sw": alike(rng, even, channels), "zw": zeros(rng, w, channels),
             "b": rng.integers(-2**16, 2**16, m).astype(np.int32), "zy": zeros(rng, x)}
    acc = play(dialect, "matmul", {"x": x, "w": w}, {"x": feeds["x"]}, w=feeds["w"].T, bias=feeds["b"], zx=feeds["zx"],
               zw=feeds["zw"])
    feeds["sy"] = fitting(rng, acc, feeds["sx"].astype(float) * feeds["sw"] * alpha, even)
    a, b = rng.integers(0, 2, 2)
    turned = feeds | {"x": feeds["x"].T if a else feeds["x"], "w": feeds["w"].T if b else feeds["w"]}
    how = MICROSOFT | {"alpha": alpha, "transA": int(a), "transB": int(b)}
    theirs = run(turned, ("QGemm", "x sx zx w sw zw b sy zy", "y", how),
                 frozen=frozen(rng, constant, *"sx zx w sw zw b sy zy".split()))[0]
    return finished(dialect, x, acc, (alpha, feeds["sx"], feeds["sw"]), feeds["sy"], feeds["zy"], theirs,
                    f"{n} x {k} x {m}, alpha {alpha}, transposed {a} {b}")


def geometry(rng, deep):
    """(image (n c h w), filters (m d kh kw), conv2d's fields) of a convolution; `deep`: one filter for each channel."""
    groups = int(rng.choice([8, 16, 17, 33])) if deep else int(rng.choice([1, 1, 1, 2, 3]))
    d, each = (1, int(rng.choice([1, 1, 1, 2]))) if deep else (int(rng.choice([1, 3, 4, 16])), int(rng.choice([3, 8, 17])))
    kh, kw = rng.choice([1, 2, 3, 5], 2)
    stride, dilation = (tuple(int(v) for v in rng.choice([1, 1, 2], 2)) for _ in range(2))
    padding = tuple(int(v) for v in rng.integers(0, 3, 4))
    side = int(np.sqrt(55_000 * stride[0] * stride[1] / (groups * each))) + 6
    return ((1, groups * d, side, side), (groups * each, d, int(kh), int(kw)),
            {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups})


def last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def convolved(dialect, rng, x, w, channels, deep, biased, symmetric=False):
    """Feeds of a convolution, its attributes, and its sums by refq (n oh ow m); `symmetric`: weights have no zero point."""
    image, filters, fields = geometry(rng, deep)
    per = filters[:1] if channels else ()
    feeds = {"x": drawn(rng, x, image), "zx": zeros(rng, x), "w": drawn(rng, w, filters),
             "zw": np.zeros(per, w.dtype) if symmetric else zeros(rng, w, per)}
    if biased:
        feeds["b"] = rng.integers(-2**15, 2**15, filters[:1]).astype(np.int32)
    alone = filters[0] == fields["groups"] and (feeds["zw"] == feeds["zw"].flat[0]).all()
    role = "depthwise_conv2d" if alone and "depthwise_conv2d" in dialects.load(dialect).roles else "conv2d"
    acc = play(dialect, role, {"x": x, "w": w, **fields}, {"x": last(feeds["x"])}, w=last(feeds["w"]), bias=feeds.get("b"),
               zx=feeds["zx"], zw=feeds["zw"])
    attributes = {"strides": fields["stride"], "pads": fields["padding"], "dilations": fields["dilation"],
                  "group": fields["groups"]}
    return feeds, attributes, acc, f"image {image}, filters {filters}, {fields}"


def convolution(dialect, run, constant, x, w, channels, deep, rng):
    """QLinearConv."""
    even, biased = rng.integers(0, 2), rng.integers(0, 2)
    feeds, attributes, acc, said = convolved(dialect, rng, x, w, channels, deep, biased)
    feeds |= {"sx": scale(rng, even), "sw": alike(rng, even, feeds["zw"].shape), "zy": zeros(rng, x)}
    feeds["sy"] = fitting(rng, acc, feeds["sx"].astype(float) * feeds["sw"], even)
    theirs = run(feeds, ("QLinearConv", NAMES + " b" * biased, "y", attributes),
                 frozen=frozen(rng, constant, *"sx zx w sw zw sy zy".split(), *["b"] * biased))[0]
    return finished(dialect, x, acc, (feeds["sx"], feeds["sw"]), feeds["sy"], feeds["zy"], last(theirs), said)


def conv_integers(dialect, run, constant, x, w, deep, rng):
    """ConvInteger."""
    feeds, attributes, ours, said = convolved(dialect, rng, x, w, False, deep, False)
    theirs = last(run(feeds, ("ConvInteger", "x w zx zw", "y", attributes), frozen=frozen(rng, constant, "w", "zw"))[0])
    return Compared(ours, theirs, beyond(ours), f"{said}, zero points {feeds['zx']}, {feeds['zw']}")


def named(operation, dialect, make, *fields, **excused):
    return Campaign(operation, dialect, partial(make, *fields), **excused)


def sums(dialect, run, pairs=PAIRS, channels=(False, True), constant=False):
    """Products and convolutions on the grid of their result; `constant`: weights are never fed."""
    base, found = (dialect, run, constant), []
    for x, w in pairs:
        for each in channels:
            how = " per channel" if each else ""
            found.append(named(f"QLinearMatMul {x} {w}{how}", dialect, product, *base, x, w, each))
            found.append(named(f"QLinearConv {x} {w}{how}", dialect, convolution, *base, x, w, each, False))
        found.append(named(f"QLinearConv depthwise {x} {w}", dialect, convolution, *base, x, w, True, True))
    return found


def integer_sums(dialect, run, pairs=PAIRS, constant=False):
    """Those that are left as they are."""
    return [named(f"MatMulInteger {x} {w}{how}", dialect, integers, dialect, run, constant, x, w, each)
            for x, w in pairs for each, how in ((False, ""), (True, " per column"))]


def conv_integer_sums(dialect, run, pairs, constant=False):
    return [named(f"ConvInteger{' depthwise' * deep} {x} {w}", dialect, conv_integers, dialect, run, constant, x, w, deep)
            for x, w in pairs for deep in (False, True)]


def contributed(dialect, run, pairs=PAIRS):
    """QGemm and MatMulIntegerToFloat, which are ONNX Runtime's own."""
    base = dialect, run, False
    return [named(f"QGemm {x} {w}", dialect, gemm, *base, x, w, True) for x, w in pairs] + [
        named(f"MatMulIntegerToFloat {x} {w}", dialect, floats, *base, x, w, True, False) for x, w in pairs]
