"""Campaigns of PyTorch's operators on codes element by element, between reals and codes, and of linear from reals to reals."""
from functools import partial

import numpy as np

from refq.ints.width import I8, I32, U8
from tools.engines.campaign import Campaign, Compared, play
from tools.engines.qlinear_models import F, drawn, named, scale, zeros
from tools.engines.torch_models import COUNT, codes_of, hardness, rectified, said, stretched, tensor, torch


def joined(engine, dialect, role, width, relu, rng, far=False):
    """quantized::add, mul and their _relu: two tensors of one shape; those for a role that ends in `scalar` lie with gaps, so
    that no vector instruction takes them. `far`: the zero point of the result is negative, and products leave 32 bits."""
    t, even, (word, *kind), count = torch(engine), bool(rng.integers(0, 2)), role.split("_"), COUNT // 128 * 128
    a, b = (drawn(rng, width, count) for _ in range(2))
    za, zb, zo = (int(zeros(rng, width)) for _ in range(3))
    zo = min(zo, width.hi - relu)           # QNNPACK refuses a range of one code
    sa = scale(rng, even)
    near = (sa * F(2.0 ** rng.integers(-3, 4) * (1 if even else rng.uniform(0.7, 1)))).astype(F)
    sb = scale(rng, even) if word == "mul" else near
    da, db = (a.astype(np.int64) - za) * float(sa), (b.astype(np.int64) - zb) * float(sb)
    real = da * db if word == "mul" else da + db
    so = stretched(rng, real, float(sa) * float(sb) if word == "mul" else max(float(sa), float(sb)) / 8, even)
    so = so if word == "add" or rng.integers(0, 8) else scale(rng, even)
    if far:
        zo, so = int(rng.integers(width.lo, 0)), F(max(np.abs(real).max() * 2.0 ** -33, 2.0 ** -44))
    elif role == "mul" and zo < 0:
        so = np.maximum(so, F(np.abs(real).max() * 2.0 ** -30))
    apart = 2 if "scalar" in kind else 1
    one, two = (tensor(t, np.repeat(q, apart), s, z)[::apart] for q, s, z in ((a, sa, za), (b, sb, zb)))
    made = getattr(t.ops.quantized, word + "_relu" * relu)(one, two, float(so), zo)
    ours = play(dialect, role, {"a": width, "b": width, "out": width, "join": "plus"}, {"a": a, "b": b},
                sa=float(sa), za=za, sb=float(sb), zb=zb, so=float(so), zo=zo)
    ours = rectified(dialect, ours, zo, width) if relu else ours
    return Compared(ours, codes_of(made), hardness(real / float(so), ours, width, zo if relu else None),
                    f"a {a[:3]} of {sa!r}, {za}, b {b[:3]} of {sb!r}, {zb}, into {so!r}, {zo}")


def chosen(x, highest):
    """The grid that PyTorch takes for reals: the range widened to hold 0, over `highest` in float64; the zero point from the end
    with the smaller error."""
    lo, hi = min(0.0, float(x.min())), max(0.0, float(x.max()))
    s = (hi - lo) / highest
    if F(s) == 0 or np.isinf(1 / F(s)):
        s = 0.1
    below, above = 0 - lo / s, highest - hi / s
    least, most = abs(lo / s), highest + abs(hi / s)
    return s, int(np.clip(np.rint(below if least < most else above), 0, highest))


def dynamic(engine, dialect, single, per_channel, reduced, relu, rng):
    """quantized::linear_dynamic: reals in, reals out; the sums in between are of codes. As hard as float32 rounds them."""
    t, n, k = torch(engine), int(rng.choice([1, 3, 40, 129, 600])), int(rng.choice([1, 2, 5, 16, 33, 64, 131, 300]))
    m = int(np.clip(COUNT // n, 1, 1200)) + int(rng.integers(0, 9))
    n, highest = max(n, COUNT // m), 127 if reduced else 255
    unit, middle = 2.0 ** rng.integers(-7, 4), int(rng.choice([0, highest, highest // 2, rng.integers(0, highest)]))
    x = ((rng.integers(0, highest + 1, (n, k)) - middle + rng.choice([0, 0.5, rng.uniform()], (n, k))) * unit).astype(F)
    w = drawn(rng, I8, (m, k))
    sw = scale(rng, False, (m,) if per_channel else ())
    sx, zx = chosen(x, highest)
    bias = (rng.normal(size=m) * sx * sw * 500).astype(F) * F(rng.integers(0, 2))
    packed = t.ops.quantized.linear_prepack(tensor(t, w, sw, 0), t.from_numpy(bias))
    made = (t.ops.quantized.linear_relu_dynamic if relu else t.ops.quantized.linear_dynamic)(t.from_numpy(x), packed, reduced)
    q = play(dialect, "quantize", {"out": U8}, {"x": x.reshape(-1, 1)}, scale=sx, zp=zx).reshape(n, k)
    acc = play(dialect, "matmul", {"x": U8, "w": I8, "acc": I32}, {"x": q}, w=w, bias=None, zx=zx, zw=0)
    ours = play(dialect, "dequantize_bias", {"acc": I32}, {"acc": acc}, sx=F(sx) if single else sx, sw=sw, bias=bias)
    ours = np.maximum(ours, F(0)) if relu else ours
    exact = acc * (sx * sw.astype(np.float64)) + bias
    return Compared(ours, made.numpy(), int((ours != exact).sum()),
                    f"{n} x {k} x {m}, grid {sx!r}, {zx}, sw {np.ravel(sw)[:3]}, bias {bias[:3]}, acc {acc.ravel()[:3]}")


def reals(rng, width, unit, zero, shape):
    """Reals at ties of a grid, one float32 step beside them, beyond its ends, and anywhere."""
    k = rng.integers(width.lo - 9, width.hi + 9, shape) - zero
    x = ((k + rng.choice([0, 0.5, 0.5, rng.uniform()], shape)) * np.asarray(unit, np.float64)).astype(F)
    for direction in (-np.inf, np.inf):
        x = np.where(rng.integers(0, 4, shape) == 0, np.nextafter(x, F(direction)), x)
    return np.where(rng.integers(0, 64, shape) == 0, F(rng.choice([0, 1e-45, -1e-45, 1e30, -1e30])), x)


def quantized(engine, dialect, width, per_channel, rng):
    """torch.quantize_per_tensor and quantize_per_channel."""
    t, columns = torch(engine), int(rng.choice([1, 7, 48, 129]))
    per = (columns,) if per_channel else ()
    s, z = scale(rng, bool(rng.integers(0, 3) == 0), per), zeros(rng, width, per).astype(np.int64)
    x = reals(rng, width, s, z, (COUNT // columns, columns))
    kind = {U8: t.quint8, I8: t.qint8}[width]
    if per_channel:
        made = t.quantize_per_channel(t.from_numpy(x), t.from_numpy(s.astype(np.float64)), t.from_numpy(z), 1, kind)
    else:
        made = t.quantize_per_tensor(t.from_numpy(x), float(s), int(z), kind)
    spread = np.broadcast_to(s, columns), np.broadcast_to(z, columns)
    ours = play(dialect, "quantize" + "_channel" * per_channel, {"out": width}, {"x": x}, scale=spread[0], zp=spread[1])
    return Compared(ours, codes_of(made), hardness(x / s.astype(np.float64), ours, width),
                    f"scale {np.ravel(s)[:3]}, zero {np.ravel(z)[:3]}")


def dequantized(engine, dialect, width, per_channel, rng):
    """Tensor.dequantize(); as hard as a product that float32 rounds."""
    t, columns = torch(engine), int(rng.choice([1, 7, 48, 129]))
    per = (columns,) if per_channel else ()
    s, z, q = scale(rng, False, per), zeros(rng, width, per), drawn(rng, width, (columns, COUNT // columns))
    theirs = tensor(t, q, s, z).dequantize().numpy()
    spread = np.broadcast_to(s, columns), np.broadcast_to(z, columns)
    ours = play(dialect, "dequantize", {"q": width}, {"q": q.T}, scale=spread[0], zp=spread[1]).T
    rounded = ours != (q.astype(np.int64) - spread[1][:, None]) * spread[0][:, None].astype(np.float64)
    return Compared(ours, theirs, int(rounded.sum()), f"scale {np.ravel(s)[:3]}, zero {np.ravel(z)[:3]}, codes {q.ravel()[:3]}")


WRAPS = ("PyTorch's vectors add the zero point of signed codes to a product beyond 32 bits, which is the lowest int32, in 32 "
         "bits: with a negative one it wraps to the highest code, where the row stays at the lowest; -254 * 0.125 times -24 * 8 "
         "at a scale of 2**-20 and the zero point -84 is 127, and -128 by the row")


def elementwise(engine, dialect, role, width):
    """One role on codes of a width, without and with ReLU."""
    found = [named(f"{role}{' relu' * relu} {width}", dialect, joined, engine, dialect, role, width, relu)
             for relu in (False, True)]
    if (role, width) == ("mul", I8):
        far = partial(joined, engine, dialect, role, width, False, far=True)
        found.append(Campaign(f"mul {width}, far", dialect, far, WRAPS, apart=255, share=1.0))
    return found


def dynamics(engine, dialect, single=True, reduces=True):
    """`single`: the input's scale is rounded to float32; `reduces`: 7 bits where they are asked for."""
    chosen = ((False, False, False), (True, False, True), (False, True, False), (True, True, True))
    return [named(f"linear_dynamic{said(per, True, relu)}{', 7 bits' * reduced}", dialect, dynamic, engine, dialect, single, per,
                  reduced, relu) for per, reduced, relu in chosen if reduces or not reduced]


def listed(engine, dialect):
    return [named(f"{word} {width}{' per channel' * per}", dialect, f, engine, dialect, width, per)
            for word, f in (("quantize", quantized), ("dequantize", dequantized)) for width in (U8, I8) for per in (False, True)]
