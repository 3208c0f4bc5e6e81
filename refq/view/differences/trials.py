"""trials: inputs on which two rows of one role are tried: the simplest first, then random ones.

A Trial plays a role from real scales, so that fields that act when constants are built show as well as those that act in
arithmetic. `simple(role)` gives small trials in the order of simplicity; `random(role, rng)` one large one.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refq.ints.width import I8, I16, I32, I48, U8

POWERS = [2.0 ** -k for k in (1, 2, 4, 8, 12, 0, -1)]
ODD = [float(np.float32(s)) for s in (0.75, 0.3, 0.1, 0.011, 0.0037, 0.9, 1.7, 3e-4)]
CODES = sorted(range(-128, 128), key=lambda q: (abs(q), q < 0))
COUNT = 50_000


@dataclass(frozen=True, eq=False)
class Trial:
    """`widths`: fields that tensors decide; `tensors`: operand to array; `build`: real scales and zero points; `tell(i)`:
    what made the result at index i, in words."""

    widths: dict
    tensors: dict
    build: dict
    tell: Callable


def scale(value):
    """A scale in words: a power of two, or the shortest text that is the same float32."""
    mantissa, exponent = np.frexp(value)
    return f"2**{exponent - 1}" if mantissa == 0.5 else str(np.float32(value))


def register(wide):
    return I48 if wide else I32


def accumulators(acc):
    """Integers around 0, then powers of two, their neighbours and the rails."""
    far = [s * ((1 << k) + d) for k in range(10, acc.bits - 1) for d in (-1, 0, 1) for s in (1, -1)]
    near = sorted(range(-700, 701), key=lambda a: (abs(a), a < 0))
    return np.array([*near, *(a for a in far if acc.lo <= a <= acc.hi), acc.lo, acc.hi], acc.dtype)


def rescaled(acc, factors, unit, zp, out=I8):
    def tell(i):
        return f"acc {acc[i[0]]}, scales {' * '.join(scale(f) for f in factors)} / {scale(unit)}, zero point {zp}"
    return Trial({"acc": register(acc.dtype.itemsize > 4), "out": out}, {"acc": acc[:, None]},
                 {"factors": tuple(np.array([f]) for f in factors), "unit": unit, "zin": 0, "zp": zp}, tell)


def simple_rescale(wide):
    acc = accumulators(register(wide))
    for zp in (0, 1, -128):
        for power in POWERS:
            yield rescaled(acc, (power, 1.0), 1.0, zp)
    for sx, sw, sy in zip(ODD, ODD[1:] + ODD[:1], ODD[2:] + ODD[:2]):
        yield rescaled(acc, (sx, sw), sy, 3)
    yield rescaled(acc, (2.0 ** 8, 1.0), 1.0, 0)


def random_rescale(wide, rng, powers):
    """Results a little beyond 8 bits, scales from 2**-14 to 2**-6."""
    channels = 50
    down = rng.uniform(6, 14, channels)
    sw = np.exp2(-np.floor(down) if powers else -down).astype(np.float32).astype(np.float64)
    acc = np.rint(rng.uniform(-140, 140, (COUNT // channels, channels)) / sw).astype(register(wide).dtype)
    return Trial({"acc": register(wide), "out": I8}, {"acc": acc},
                 {"factors": (np.full(channels, 1.0), sw), "unit": 1.0, "zin": 0, "zp": 3}, lambda i: f"acc {acc[i]}")


def paired(sa, za, sb, zb, so, zo, pairs, wide):
    width = I16 if wide else I8
    a, b = (np.array(side, width.dtype) for side in zip(*pairs))

    def tell(i):
        return f"a {a[i]}, b {b[i]}, scales {scale(sa)} and {scale(sb)} to {scale(so)}, zero points {za}, {zb}, {zo}"
    return Trial({"a": width, "b": width, "out": width}, {"a": a, "b": b},
                 {"sa": sa, "za": za, "sb": sb, "zb": zb, "so": so, "zo": zo}, tell)


PAIRS = sorted(((a, b) for a in CODES[:64] for b in CODES[:64]), key=lambda p: abs(p[0]) + abs(p[1]))
GRIDS = [(1.0, 0, 1.0, 0, 2.0, 0), (1.0, 0, 0.5, 0, 2.0, 1), (0.5, 0, 0.5, 0, 0.25, 0), (1.0, 0, 1.0, 0, 0.5, -128)] + [
    (sa, 3, sb, -5, 2 * max(sa, sb), 1) for sa, sb in zip(ODD, ODD[1:])]


def simple_pair(wide):
    for sa, za, sb, zb, so, zo in GRIDS:
        wider = (0, 0, 0) if wide else (za, zb, zo)
        yield paired(sa, wider[0], sb, wider[1], so, wider[2], PAIRS, wide)
    ends = [(a, b) for a in (-128, 127) for b in (-128, 127)]
    yield paired(1.0, 0, 1.0, 0, 1.0, 0, ends, False) if not wide else paired(1.0, 0, 1.0, 0, 1.0, 0, PAIRS, True)


def random_pair(wide, rng, powers):
    width = I16 if wide else I8
    pairs = rng.integers(width.lo, width.hi, (COUNT, 2), endpoint=True).tolist()
    sa, sb, so = (0.5, 1.0, 2.0) if powers else (float(np.float32(s)) for s in rng.uniform(0.01, 0.1, 3))
    return paired(sa, 0, sb, 0, max(so, sa, sb), 0, pairs, wide)


def looked_up(function, s_in, z_in, s_out, z_out):
    q = np.array(CODES, np.int8)
    build = {"function": function, "s_in": s_in, "z_in": z_in, "s_out": s_out, "z_out": z_out}
    return Trial({"q": I8, "out": I8}, {"q": q}, build,
                 lambda i: f"code {q[i]}, scales {scale(s_in)} to {scale(s_out)}, zero points {z_in}, {z_out}")


def simple_table(function):
    """Of the role `table` a function that has ties, too."""
    if function == "table":
        yield looked_up("relu", 1.0, 0, 2.0, 0)
        function = "sigmoid"
    for s_in in (2.0 ** -4, 2.0 ** -5, *ODD[1:5]):
        for s_out in (2.0 ** -8, 2.0 ** -7, *ODD[2:4]):
            yield looked_up(function, s_in, 0, s_out, -128 if function == "sigmoid" else 0)


def quantized(s, zp):
    """Reals at and beside the ties of a grid."""
    halves = [k / 2 * s for k in sorted(range(-40, 41), key=lambda k: (abs(k), k < 0))]
    x = np.array([*halves, 3e9 * s, -3e9 * s, 0.75, 127.5], np.float32)
    return Trial({"out": I8}, {"x": x[:, None]}, {"scale": s, "zp": zp},
                 lambda i: f"{x[i[0]]}, scale {scale(s)}, zero point {zp}")


def simple_quantize():
    for zp in (0, 1, -128):
        yield from (quantized(s, zp) for s in (1.0, 0.5, *ODD))


def wide_table():
    """Codes of 16 bits around 0 and at the rails."""
    q = np.array([*sorted(range(-2000, 2000), key=abs), *range(-32768, 32768, 37)], np.int16)
    for s in (2.0 ** -12, 2.0 ** -13, *ODD[3:5]):
        yield Trial({"q": I16, "out": I16}, {"q": q},
                    {"function": "sigmoid", "s_in": s, "z_in": 0, "s_out": 2.0 ** -15, "z_out": 0},
                    lambda i, s=s: f"code {q[i]}, scales {scale(s)} to 2**-15")


def simple_pool():
    """Windows of two places, on one grid and on two."""
    pairs = [(a, b) for a in CODES[:40] for b in CODES[:40]]
    q = np.array(pairs, np.int8).reshape(-1, 1, 2, 1)
    geometry = {"kernel": (1, 2), "stride": (1, 2), "padding": (0, 0, 0, 0), "dilation": (1, 1), "q": I8, "out": I8}
    for s_in, zin, s_y, zp in ((1.0, 0, 1.0, 0), (1.0, 1, 1.0, 1), (0.1, 3, 0.1, 3), (0.1, 3, 0.07, -4)):
        grids = f"scale {s_in} and zero point {zin} to {s_y} and {zp}"
        yield Trial(geometry, {"q": q}, {"s_in": float(np.float32(s_in)), "zin": zin, "s_y": float(np.float32(s_y)), "zp": zp},
                    lambda i, grids=grids: f"the mean of codes {pairs[i[0]]}, {grids}")


def product(x, w, layout, width=I8):
    def tell(i):
        return f"{len(x)} products of {width} and i8, the first {x[0]} * {w[0]} and {x[1 % len(x)]} * {w[1 % len(w)]}"
    x, w = np.array(x, width.dtype), np.array(w, np.int8)
    shaped = {"matmul": (x[None], w[None]), "batch_matmul": (x[None, None], w[None, None]),
              "conv2d": (x[None, None, None], w[None, None, None])}[layout]
    rest = {"bias": np.zeros(1, np.int32), "zw": np.zeros(1, np.int8)} if layout != "batch_matmul" else {"zw": 0}
    return Trial({"x": width}, {"x": shaped[0], "w": shaped[1], "zx": 0, **rest}, {}, tell)


def simple_product(layout):
    """More and more products at the rails, of one sign and of both."""
    for count in (1, 2, 3, 4, 8, 16, 64, 512, 4096, 1 << 17):
        for x, w in ((127, 127), (-128, 127), (-128, -127), (-128, -128)):
            yield product([x] * count, [w] * count, layout)
        yield product([255] * count, [127] * count, layout, U8)
        yield product(([127] * 2 + [-127] * 2) * (-(-count // 4)), [127] * (-(-count // 4) * 4), layout)


def simple(role):
    """Trials for a role, simplest first; none where the role is not known here."""
    plain, wide = role.removesuffix("_wide"), role.endswith("_wide")
    if plain in ("rescale", "requantize"):
        return simple_rescale(wide)
    if plain in ("add", "sub", "mul"):
        return simple_pair(wide)
    if plain in ("table", "gelu", "sigmoid", "tanh", "hard_swish") and not wide:
        return simple_table(plain)
    if plain == "quantize":
        return simple_quantize()
    if role == "table_wide":
        return wide_table()
    if plain == "average_pool":
        return simple_pool()
    if plain in ("matmul", "batch_matmul", "conv2d"):
        return simple_product(plain)
    return ()


def random(role, rng, powers):
    """One large Trial for a role, or None; `powers`: scales are powers of two."""
    plain, wide = role.removesuffix("_wide"), role.endswith("_wide")
    if plain in ("rescale", "requantize"):
        return random_rescale(wide, rng, powers)
    if plain in ("add", "sub", "mul"):
        return random_pair(wide, rng, powers)
    return None
