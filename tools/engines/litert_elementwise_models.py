"""Campaigns of LiteRT's operations on one element at a time, of its means, and of what only moves codes."""
import numpy as np

from refq.ints.width import I8, I16, I32
from tools.engines.campaign import Campaign, Compared, play
from tools.engines.litert_models import KIND, codes, fused, hard, power, vectors, zero
from tools.engines.tflite_models import Tensor, constant, operation, run

ALL = np.arange(-128, 128, dtype=np.int8)
PAIRS = np.repeat(ALL, 256), np.tile(ALL, 256)
ROLES = {"ADD": "add", "SUB": "sub", "MUL": "mul"}
LOST = {"explained": "LiteRT 2.3's reference SUM is broken: at scales of 1 and zero points of 0 the codes 60, 60, 60 give -76, "
                     "and -1, 3 give -1; its other kernels give 127 and 2", "apart": 65535, "share": 1.0}
LATE = {"explained": "LiteRT's fast SUM adds float32(float32(-zero point * scale) * count) to the float32 product of the sum, "
                     "where the others take count * zero point off the sum before it: codes 5 and 4 at the zero point 7 and "
                     "the scale 0.1, in the unit 1, are -0.5, which is -1, and 0 there", "apart": 1, "share": 2e-4}
EXCUSED = {("reference", "SUM int8"): {**LOST, "apart": 255}, ("reference", "SUM int16"): LOST, ("ruy", "SUM int8"): LATE}
"""What codes of these kernels may differ by, and why."""
REAL = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}


def wide(role, *widths):
    return f"{role}_wide" if any(w.bits > 8 for w in widths) else role


def nearby(rng, unit, least=-3.0, most=2.0):
    """A float32 scale within a few powers of two of `unit`; half of them are powers of two apart."""
    exponent = rng.uniform(least, most)
    return np.float32(unit * 2.0 ** (np.round(exponent) if rng.integers(2) else exponent))


def joined(dialect, kernels, name, width, rng):
    """ADD, SUB or MUL: of all pairs of 8-bit codes, or of drawn 16-bit ones."""
    a, b = PAIRS if width == I8 else (codes(rng, width, 65_536), codes(rng, width, 65_536))
    sa, (za, zb, zo) = power(rng, -14, 2), (zero(rng, width) for _ in range(3))
    sb = nearby(rng, sa, -5, 5)
    unit = float(sa) * float(sb) * width.hi / 4 if name == "MUL" else max(sa, sb)
    so = nearby(rng, unit)
    y = play(dialect, wide(ROLES[name], width), {"a": width, "b": width, "out": width}, {"a": a, "b": b},
             sa=float(sa), za=za, sb=float(sb), zb=zb, so=float(so), zo=zo)
    word, ours = fused(rng, y, zo, so, dialect, kernels, width)
    shape = (256, 256)
    grids = [Tensor(shape, KIND[width], s, z) for s, z in ((sa, za), (sb, zb), (so, zo))]
    general = {"potScaleInt16": False} if name != "MUL" else {}
    model = operation(name, grids[:2], grids[2:], name.capitalize(), fusedActivationFunction=word, **general)
    theirs = run(model, [a.reshape(shape), b.reshape(shape)], kernels)[0].reshape(-1)
    first, second = ((v.astype(np.float64) - z) * float(s) for v, z, s in ((a, za, sa), (b, zb, sb)))
    return Compared(ours, theirs, hard(REAL[name](first, second) / float(so), zo, width),
                    f"scales {float(sa)!r}, {float(sb)!r}, {float(so)!r}, zero points {za}, {zb}, {zo}, {word}")


def alone(dialect, tail, role, widths, tensors, **build):
    """A role on one column of codes; `tail`: so many at a time, and the rest as the reference does."""
    ours = play(dialect, role, widths, tensors, **build)[:, 0]
    return vectors(tail, ours, play("tflite", role, widths, tensors, **build)[:, 0]) if tail > 1 else ours


def requantized(dialect, kernels, taken, given, tail, rng):
    """QUANTIZE from codes to codes."""
    x = rng.permutation(np.resize(ALL, 60_000 + int(rng.integers(16)))) if taken == I8 else codes(rng, taken, 60_000)
    sx, zx, zo = power(rng, -14, 2), zero(rng, taken), zero(rng, given)
    sy = nearby(rng, float(sx) * (taken.hi + 1) / (given.hi + 1), -2, 2.5)
    ours = alone(dialect, tail, wide("requantize", taken, given), {"acc": taken, "out": given}, {"acc": x.reshape(-1, 1)},
                 factors=(sx,), unit=sy, zin=zx, zp=zo)
    model = operation("QUANTIZE", [Tensor(x.shape, KIND[taken], sx, zx)], [Tensor(x.shape, KIND[given], sy, zo)], "Quantize")
    return Compared(ours, run(model, [x], kernels)[0], hard((x.astype(np.float64) - zx) * float(sx) / float(sy), zo, given),
                    f"scales {float(sx)!r}, {float(sy)!r}, zero points {zx}, {zo}")


def quantized(dialect, kernels, width, rng):
    """QUANTIZE from float32: at ties, one float32 step beside them, beyond the range and far away."""
    s, z = power(rng, -20, 4), zero(rng, width)
    k = rng.integers(int(1.2 * width.lo), int(1.2 * width.hi), 60_000) - z
    x = ((k + rng.choice([0, 0.5, 0.5, rng.uniform()], k.shape)) * np.float64(s)).astype(np.float32)
    x = np.nextafter(x, rng.choice(np.float32([-np.inf, np.inf]), x.shape)) if rng.integers(2) else x
    x[::97] *= np.float32(1e12)
    ours = play(dialect, "quantize", {"out": width}, {"x": x.reshape(-1, 1)}, scale=s, zp=z)[:, 0]
    model = operation("QUANTIZE", [Tensor(x.shape, "float32")], [Tensor(x.shape, KIND[width], s, z)], "Quantize")
    return Compared(ours, run(model, [x], kernels)[0], hard(x.astype(np.float64) / float(s), z, width),
                    f"scale {float(s)!r}, zero point {z}, x {x[:3].tolist()}")


def dequantized(dialect, kernels, width, tail, rng):
    """DEQUANTIZE; as hard as a product that float32 rounds."""
    q = codes(rng, width, 60_000 + int(rng.integers(16)))
    s, z = power(rng, -20, 4), zero(rng, width)
    ours = alone(dialect, tail, "dequantize", {"q": width}, {"q": q.reshape(-1, 1)}, scale=s, zp=z)
    model = operation("DEQUANTIZE", [Tensor(q.shape, KIND[width], s, z)], [Tensor(q.shape, "float32")], "Dequantize")
    rounded = ours != (q.astype(np.int64) - z) * float(s)
    return Compared(ours, run(model, [q], kernels)[0], int(rounded.sum()), f"scale {float(s)!r}, zero point {z}")


def reduced(dialect, kernels, name, width, rng):
    """MEAN or SUM over one or two axes: the sum of the codes as they are, and a rescale, which of a mean knows how many."""
    r, across = int(rng.integers(2, 40)), int(rng.integers(1, 6))
    shape, axes = ((24, r, 2048), [1]) if rng.integers(2) else ((24, r, across, 512), [1, 2])
    x, count = codes(rng, width, shape), int(np.prod([shape[a] for a in axes]))
    sx, zx, zo = power(rng, -14, 2), zero(rng, width), zero(rng, width)
    over, role = (count, wide("rescale_mean", width)) if name == "MEAN" else (1, "rescale_sum")
    sy = nearby(rng, float(sx) * count / over, -4, 0.5)
    total = play(dialect, "mean", {"q": width, "acc": I32}, {"q": x.reshape(len(x), -1, shape[-1]), "zq": width.dtype.type(0)})
    factors, real = (np.broadcast_to(sx, shape[-1]),), float(sx) / over / float(sy)
    ours = play(dialect, role, {"acc": I32, "out": width}, {"acc": total}, factors=factors, unit=sy,
                zin=zx * count, zp=zo, count=over)
    model = operation(name, [Tensor(shape, KIND[width], sx, zx), constant(np.array(axes, np.int32))],
                      [Tensor(ours.shape, KIND[width], sy, zo)], "Reducer", keepDims=False)
    return Compared(ours, run(model, [x], kernels)[0], hard((total - zx * count) * real, zo, width),
                    f"{shape} over {axes}, scales {float(sx)!r}, {float(sy)!r}, zero points {zx}, {zo}")


def over_image(dialect, kernels, tail, rng):
    """MEAN over both axes of an image, which are kept: of so many channels at a time, and the rest as the reference rounds."""
    n, h, w, c = (int(v) for v in rng.integers((20, 1, 1, 1), (60, 12, 12, 200)))
    x, count = codes(rng, I8, (n, h, w, c)), np.float32(h * w)
    sx, zx, zo = power(rng, -14, 2), zero(rng, I8), zero(rng, I8)
    sy = nearby(rng, sx, -4, 0.5)
    total = play(dialect, "mean", {"q": I8, "acc": I32}, {"q": x.reshape(n, h * w, c), "zq": np.int8(0)})
    less = np.float32(zx) * sx / sy
    told = {"zin": 0, "zp": int(zo - np.trunc(less + np.copysign(np.float32(0.5), less)))}
    widths, taken, share = {"acc": I32, "out": I16}, {"acc": total}, sx / (count * sy)
    wide = play(dialect, "rescale_mean_image", widths, taken, factors=(np.broadcast_to(sx, c),), unit=count * sy, **told)
    rest = play("tflite", "rescale", widths, taken, factors=(np.broadcast_to(share, c),), unit=1.0, **told)
    ours = I8.clip(vectors(tail, wide, rest)).astype(np.int8)
    model = operation("MEAN", [Tensor(x.shape, "int8", sx, zx), constant(np.array([1, 2], np.int32))],
                      [Tensor((n, 1, 1, c), "int8", sy, zo)], "Reducer", keepDims=True)
    return Compared(ours, run(model, [x], kernels)[0].reshape(n, c),
                    hard((total - zx * h * w) * (float(sx) / (h * w) / float(sy)), zo, I8),
                    f"{x.shape}, scales {float(sx)!r}, {float(sy)!r}, zero points {zx}, {zo}")


def moved(dialect, kernels, name, rng):
    """CONCATENATION of tensors on one grid, PAD with the zero point. Nothing is computed: no code counts as hard."""
    rows, columns, z = int(rng.integers(100, 200)), int(rng.integers(200, 400)), zero(rng, I8)
    x, grid = codes(rng, I8, (1, rows, columns)), (power(rng, -14, 2), z)
    if name == "CONCATENATION":
        y = codes(rng, I8, (1, int(rng.integers(1, 9)), columns))
        widths, taken = {"shapes": (x.shape[1:], y.shape[1:]), "moves": (("concat", 0),)}, {"x0": x, "x1": y}
        options, given, constants = {"axis": 1}, "Concatenation", []
    else:
        around = rng.integers(0, 4, (2, 2))
        widths = {"shapes": (x.shape[1:],), "moves": (("pad", tuple(map(tuple, around.tolist()))),)}
        taken, options, given = {"x0": x, "zero": np.int8(z)}, {}, "Pad"
        constants = [constant(np.pad(around, ((1, 0), (0, 0))).astype(np.int32))]
    ours = play(dialect, "arrange", widths, taken)
    inputs = [v for k, v in taken.items() if k != "zero"]
    model = operation(name, [*(Tensor(v.shape, "int8", *grid) for v in inputs), *constants], [Tensor(ours.shape, "int8", *grid)],
                      given, **options)
    return Compared(ours, run(model, inputs, kernels)[0], 0, f"{widths}, zero point {z}")


def campaigns(dialect, kernels, tail=1):
    """All of them; XNNPACK, which takes no 16-bit codes, without those. `tail`: how many codes a fast QUANTIZE takes at a time,
    and DEQUANTIZE half of them."""
    def of(operation, batch, *told):
        excused = EXCUSED.get((kernels, operation), {})
        return Campaign(operation, dialect, lambda rng: batch(dialect, kernels, *told, rng), moves=batch is moved, **excused)

    widths = (I8,) if kernels == "xnnpack" else (I8, I16)
    pairs = ((I8, I8),) if kernels == "xnnpack" else ((I8, I8), (I8, I16), (I16, I8), (I16, I16))
    return [*(of(f"{name} {KIND[w]}", joined, name, w) for name in ROLES for w in widths),
            *(of(f"QUANTIZE {KIND[a]} to {KIND[b]}", requantized, a, b, tail if a == b == I8 else 1) for a, b in pairs),
            *(of(f"QUANTIZE float32 to {KIND[w]}", quantized, w) for w in widths),
            *(of(f"DEQUANTIZE {KIND[w]}", dequantized, w, tail // 2) for w in widths),
            *(of(f"{name} {KIND[w]}", reduced, name, w) for name in ("MEAN", "SUM") for w in widths),
            *(of("MEAN int8 over an image, kept", over_image, tail) for _ in "1" if kernels == "ruy"),
            *(of(f"{name} int8", moved, name) for name in ("CONCATENATION", "PAD"))]
