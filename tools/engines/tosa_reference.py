"""Arm's TOSA reference model: RESCALE in every form, MATMUL and CONV2D with a rescale behind them, TABLE,
AVG_POOL2D, and quantized ADD, SUB and MUL as the chains that TFLite's become.

The model refuses operands outside of what TOSA defines (a value that a multiplier of shift s is given has at most s bits), so
operands are drawn inside of it.
"""
from functools import partial

import numpy as np

from refq import dialects, ops
from refq.ints.width import I8, I16, I32, I48, U8, U16
from tools.engines.campaign import Campaign, Compared, play
from tools.engines.tosa_models import Graph
from tools.tosa.environment import VERSION, packages

WIDTHS = {"INT8": I8, "INT16": I16, "INT32": I32, "INT48": I48}
UNSIGNED = {"INT8": U8, "INT16": U16}


def version():
    packages()
    return f"tosa-tools {VERSION}"


def hard(y, width, product, shift):
    """How many results are clipped, or come from a product exactly between two codes."""
    ties = product & (np.int64(1) << shift) - 1 == np.int64(1) << shift - 1
    return int(((y == width.lo) | (y == width.hi) | ties).sum())


def rescale_of(graph, x, shape, target, pair, zeros, kinds, scale32=True, rounding="SINGLE_ROUND", unsigned=(False, False)):
    """A RESCALE in a graph; `pair`: multipliers and shifts, one for each channel or one for all."""
    (mult, shift), (zin, zp), (source, kind) = pair, zeros, kinds
    constants = [graph.constant("INT32" if scale32 else "INT16", mult), graph.constant("INT8", shift),
                 graph.constant(source, zin), graph.constant(kind, zp)]
    return graph.apply("RESCALE", "Rescale", [x, *constants], target, shape, scale32=scale32, rounding_mode=rounding,
                       per_channel=np.size(mult) > 1, input_unsigned=unsigned[0], output_unsigned=unsigned[1])


def multipliers(rng, count, bits):
    """Multipliers of so many bits, most of them powers of two: their products tie."""
    return np.where(rng.random(count) < 0.7, 1 << bits - 2, rng.integers(1 << bits - 2, 1 << bits - 1, count))


def zero_point(rng, kind, unsigned):
    if kind == "INT8":
        width = U8 if unsigned else I8
        return int(rng.integers(width.lo, width.hi + 1))
    return int(rng.choice([0, 32768])) if unsigned else 0


def rescale(rng, source, target, scale32=True, rounding="SINGLE_ROUND", unsigned=(False, False)):
    """One RESCALE of (n c), each channel with its own multiplier, or one for all; both signs, ties, and what is clipped."""
    bits, channels = (32, 16)[not scale32], 16
    acc_width = UNSIGNED[source] if unsigned[0] else WIDTHS[source]
    out_width = UNSIGNED[target] if unsigned[1] else WIDTHS[target]
    inner, outer = acc_width.bits, min(out_width.bits, 30)
    mult = multipliers(rng, channels, bits)
    least = min(outer - inner, -2) - 2
    shift = np.clip(bits - 1 - rng.integers(least, np.where(rng.random(channels) < 0.6, 0, outer - 1)), 2, 62)
    zin, zp = zero_point(rng, source, unsigned[0]), zero_point(rng, target, unsigned[1])
    unit = 2.0 ** shift / mult
    reach = np.minimum(2.0 ** np.minimum(shift - 1, inner - 1), 1.4 * 2.0 ** (outer - 1) * unit).astype(np.int64)
    value = rng.integers(-reach, reach, (1 << 13, channels))
    step = np.int64(1) << np.maximum(shift - bits + 1, 0)                 # ties of a multiplier that is a power of two
    value = np.where(rng.random(value.shape) < 0.4, value // step * step | step, value)
    value[: 64] = rng.choice(np.array([-1, 0, 1]), (64, channels)) * (reach - 1)
    reach = np.int64(1) << np.minimum(shift - 1, 48)
    value = np.clip(value, np.maximum(acc_width.lo - zin, -reach), np.minimum(acc_width.hi - zin, reach - 1))
    acc = (value + zin).astype(acc_width.dtype)

    graph = Graph()
    fed = graph.feed(source, acc.view(WIDTHS[source].dtype))
    kinds = (source, target)
    y = graph.ask(rescale_of(graph, fed, acc.shape, target, (mult, shift), (zin, zp), kinds, scale32, rounding, unsigned))
    theirs = graph.run()[y].view(out_width.dtype)
    dialect = "tosa_double" if rounding == "DOUBLE_ROUND" else "tosa"
    ours = play(dialect, "rescale" if scale32 else "rescale_wide", {"acc": acc_width, "out": out_width},
                {"acc": acc, "zin": np.int64(zin), "mult": mult, "shift": shift.astype(np.int8), "zp": np.int64(zp)})
    told = f"RESCALE {source} to {target}, multipliers {mult.tolist()}, shifts {shift.tolist()}, zero points {zin}, {zp}"
    return Compared(ours, theirs, hard(ours, out_width, value * mult, shift), told)


def with_rescale(rng, graph, acc_name, kind, target, acc):
    """A rescale behind sums: (ours, their name, how many are hard)."""
    scale32 = kind == "INT32"
    bits, out = (32, 16)[not scale32], WIDTHS[target]
    mult = multipliers(rng, 1, bits)
    spread = np.log2(max(1.0, np.abs(acc.astype(np.float64)).mean())) - (out.bits - 1) - 0.5
    shift = np.clip(bits - 1 + np.array([round(spread)]), 2, 62)
    zp = zero_point(rng, target, False)
    name = rescale_of(graph, acc_name, acc.shape, target, (mult, shift), (0, zp), (kind, target), scale32)
    flat = acc.reshape(-1, 1)
    ours = play("tosa", "rescale" if scale32 else "rescale_wide", {"acc": WIDTHS[kind], "out": out},
                {"acc": flat, "zin": np.int64(0), "mult": mult, "shift": shift.astype(np.int8), "zp": np.int64(zp)})
    return ours.reshape(acc.shape), graph.ask(name), hard(ours, out, flat.astype(np.int64) * mult, shift)


def codes(rng, width, shape):
    """Any codes, an eighth of them at the rails."""
    drawn = rng.integers(width.lo, width.hi + 1, shape)
    return np.where(rng.random(shape) < 0.125, rng.choice([width.lo, width.hi], shape), drawn).astype(width.dtype)


def matmul(rng, kind, total, target):
    n, h, c, w = int(rng.integers(1, 5)), int(rng.integers(90, 160)), int(rng.integers(1, 70)), int(rng.integers(150, 260))
    width = WIDTHS[kind]
    a, b = codes(rng, width, (n, h, c)), codes(rng, width, (n, c, w))
    za, zb = zero_point(rng, kind, False), zero_point(rng, kind, False)
    graph = Graph()
    product = graph.apply("MATMUL", "MatMul", [graph.feed(kind, a), graph.feed(kind, b), graph.constant(kind, za),
                                               graph.constant(kind, zb)], total, (n, h, w))
    acc = play("tosa", "batch_matmul", {"x": width, "w": width, "acc": WIDTHS[total]},
               {"x": a, "w": np.ascontiguousarray(b.swapaxes(1, 2)), "zx": np.int64(za), "zw": np.int64(zb)})
    ours, name, count = with_rescale(rng, graph, product, total, target, acc)
    return Compared(ours, graph.run()[name], count, f"MATMUL {kind} {a.shape} {b.shape}, zero points {za}, {zb}")


def conv2d(rng, kind, total, target, depthwise):
    x_width, c = WIDTHS[kind], int(rng.integers(1, 20))
    n, h, w = 1, int(rng.integers(30, 60)), int(rng.integers(30, 60))
    m, kh, kw = int(rng.integers(2, 5)) * (1 if depthwise else 10), int(rng.integers(1, 5)), int(rng.integers(1, 5))
    filters = c * m if depthwise else m
    stride, dilation = [1, 1], [int(d) for d in rng.integers(1, 3, 2)]
    top, bottom, left, right = pads = [int(p) for p in rng.integers(0, 4, 4)]
    shape = (kh, kw, c, m) if depthwise else (m, kh, kw, c)
    x, weights = codes(rng, x_width, (n, h, w, c)), codes(rng, I8, shape)
    bias = rng.integers(-(1 << 12), 1 << 12, filters)
    zx, zw = zero_point(rng, kind, False), zero_point(rng, "INT8", False)
    own = weights.transpose(2, 3, 0, 1).reshape(filters, kh, kw, 1) if depthwise else weights
    acc = play("tosa", "conv2d", {"x": x_width, "w": I8, "acc": WIDTHS[total], "stride": tuple(stride),
                                  "padding": (top, left, bottom, right), "dilation": tuple(dilation),
                                  "groups": c if depthwise else 1},
               {"x": x, "w": np.ascontiguousarray(own), "bias": bias.astype(WIDTHS[total].dtype), "zx": np.int64(zx),
                "zw": np.full(filters, zw, I8.dtype)})
    graph = Graph()
    names = [graph.feed(kind, x), graph.feed("INT8", weights), graph.feed(total, bias), graph.constant(kind, zx),
             graph.constant("INT8", zw)]
    op, table = ("DEPTHWISE_CONV2D", "DepthwiseConv2d") if depthwise else ("CONV2D", "Conv2d")
    sums = graph.apply(op, table, names, total, acc.shape, pad=pads, stride=stride, dilation=dilation, local_bound=False,
                       acc_type=total)
    ours, name, count = with_rescale(rng, graph, sums, total, target, acc)
    told = f"{op} {kind} {x.shape} {weights.shape}, pads {pads}, dilation {dilation}, zero points {zx}, {zw}"
    return Compared(ours, graph.run()[name], count, told)


def table(rng):
    q, t = codes(rng, I8, 1 << 17), codes(rng, I8, 256)
    graph = Graph()
    y = graph.ask(graph.apply("TABLE", "Table", [graph.feed("INT8", q), graph.constant("INT8", t)], "INT8", q.shape))
    ours = play("tosa", "table", {"q": I8, "out": I8}, {"q": q, "t": t})
    return Compared(ours, graph.run()[y], clipped(ours, I8), f"TABLE {t.tolist()}")


def table_wide(rng):
    """Of 16-bit codes: 513 entries, no two neighbours more than 16 bits apart (the model refuses them). Nothing is rounded or
    clipped: the ends of the codes, where a table is overrun, count as hard."""
    q = codes(rng, I16, 1 << 17)
    t = (rng.choice([I16.lo, 0, rng.integers(I16.lo, 1)]) + rng.integers(0, I16.hi + 1, 513)).astype(I16.dtype)
    graph = Graph()
    y = graph.ask(graph.apply("TABLE", "Table", [graph.feed("INT16", q), graph.constant("INT16", t)], "INT32", q.shape))
    ours = play("tosa", "table_wide", {"q": I16}, {"q": q, "t": t})
    return Compared(ours, graph.run()[y], clipped(q, I16), f"TABLE {t.tolist()}")


def grids(rng, kind):
    """Scales and zero points of two operands, float32 scales or powers of two; the result's are up to who asks."""
    scales = [float(np.float32(2.0 ** rng.uniform(-6, 4))) for _ in range(2)]
    if rng.random() < 0.5:
        scales = [2.0 ** round(np.log2(s)) for s in scales]
    za, zb, zo = (zero_point(rng, kind, False) for _ in range(3))
    return {"sa": scales[0], "za": za, "sb": scales[1], "zb": zb, "zo": zo}


def made(dialect, role, built):
    part = dialects.load(dialect).role(role)
    return ops.load(part.op).build(part.row, **built), part.row


def joined(rng, kind, op, dialect, rounding):
    """Two RESCALEs to a common grid of 20 (15) more bits, ADD or SUB of INT32, and a RESCALE back: what TFLite's become."""
    width, role = WIDTHS[kind], op.lower() + ("" if kind == "INT8" else "_wide")
    built = grids(rng, kind)
    built["so"] = float(np.float32(rng.choice([0.25, 0.5, 1]) * max(built["sa"], built["sb"])))
    a, b = codes(rng, width, 1 << 17), codes(rng, width, 1 << 17)
    ours = play(dialect, role, {"a": width, "b": width, "out": width}, {"a": a, "b": b}, **built)
    constants, row = made(dialect, role, built)
    graph = Graph()
    sides = [rescale_of(graph, graph.feed(kind, q), q.shape, "INT32", ([constants[f"m{s}"]], [constants[f"s{s}"] - row.left]),
                        (constants[f"z{s}"], 0), (kind, "INT32")) for s, q in (("a", a), ("b", b))]
    total = graph.apply(op, op.title(), sides, "INT32", a.shape)
    y = graph.ask(rescale_of(graph, total, a.shape, kind, ([constants["mo"]], [constants["so"]]), (0, built["zo"]),
                             ("INT32", kind), rounding=rounding))
    return Compared(ours, graph.run()[y], clipped(ours, width), f"{op} {kind} as RESCALEs, {built}")


def clipped(y, width):
    return int(((y == width.lo) | (y == width.hi)).sum())


def mul(rng, kind, dialect, rounding):
    """MUL of INT32 codes less their zero points, and a RESCALE: what TFLite's becomes."""
    width, role = WIDTHS[kind], "mul" if kind == "INT8" else "mul_wide"
    built = grids(rng, kind)
    spread = width.hi / rng.choice([1, 8, 32])
    built["so"] = float(np.float32(built["sa"] * built["sb"] * spread))
    a, b = codes(rng, width, 1 << 17), codes(rng, width, 1 << 17)
    ours = play(dialect, role, {"a": width, "b": width, "out": width}, {"a": a, "b": b}, **built)
    constants, _ = made(dialect, role, built)
    graph = Graph()
    sides = [rescale_of(graph, graph.feed(kind, q), q.shape, "INT32", ([1 << 30], [30]), (constants[z], 0), (kind, "INT32"))
             for z, q in (("za", a), ("zb", b))]
    total = graph.apply("MUL", "Mul", [*sides, graph.constant("INT8", 0)], "INT32", a.shape)
    mult, shift = constants["mult"], constants["shift"]
    y = graph.ask(rescale_of(graph, total, a.shape, kind, ([mult], [shift]), (0, built["zo"]), ("INT32", kind),
                             rounding=rounding))
    product = (a.astype(np.int64) - built["za"]) * (b.astype(np.int64) - built["zb"]) * mult
    return Compared(ours, graph.run()[y], hard(ours, width, product, np.int64(shift)), f"MUL {kind} as RESCALEs, {built}")


def average_pool(rng, kind):
    width, (kh, kw) = WIDTHS[kind], (int(k) for k in rng.integers(1, 9, 2))
    shape = int(rng.integers(1, 4)), int(rng.integers(8, 40)), int(rng.integers(8, 40)), int(rng.integers(1, 40))
    top, bottom, left, right = pads = [int(rng.integers(0, k)) for k in (kh, kh, kw, kw)]
    zin, zp = zero_point(rng, kind, False), zero_point(rng, kind, False)
    q = codes(rng, width, shape)
    near = rng.integers(-3, 4, shape) + (width.lo if rng.random() < 0.5 else zin)
    q = np.where(rng.random() < 0.4, np.clip(near, width.lo, width.hi), q).astype(width.dtype)
    if rng.random() < 0.5:
        q[:, shape[1] // 2:] = rng.choice([width.lo, width.hi])
    widths = {"q": width, "out": width, "kernel": (kh, kw), "padding": (top, left, bottom, right)}
    ours = play("tosa", "average_pool", widths, {"q": q}, s_in=1.0, zin=zin, s_y=1.0, zp=zp)
    graph = Graph()
    names = [graph.feed(kind, q), graph.constant(kind, zin), graph.constant(kind, zp)]
    y = graph.ask(graph.apply("AVG_POOL2D", "AvgPool2d", names, kind, ours.shape, kernel=[kh, kw], stride=[1, 1], pad=pads,
                              acc_type="INT32"))
    # A tie needs an even number of places; those windows that padding cuts are left out of the count.
    inner = np.lib.stride_tricks.sliding_window_view(q.astype(np.int64) - zin, (kh, kw), (1, 2)).sum((-2, -1)) \
        if min(shape[1] - kh, shape[2] - kw) >= 0 else np.zeros(0, np.int64)
    ties = int((2 * inner % (2 * kh * kw) == kh * kw).sum())
    told = f"AVG_POOL2D {kind} {shape}, kernel {kh, kw}, pads {pads}, zero points {zin}, {zp}"
    return Compared(ours, graph.run()[y], min(ours.size, ties + clipped(ours, width)), told)


def forms():
    """Every form of RESCALE."""
    for source, target in (("INT8", "INT8"), ("INT8", "INT16"), ("INT8", "INT32"), ("INT16", "INT8"), ("INT16", "INT16"),
                           ("INT16", "INT32"), ("INT32", "INT8"), ("INT32", "INT16"), ("INT32", "INT32")):
        for rounding in ("SINGLE_ROUND", "DOUBLE_ROUND"):
            yield source, target, True, rounding, (False, False)
    for source in WIDTHS:
        for target in ("INT8", "INT16", "INT32"):
            yield source, target, False, "SINGLE_ROUND", (False, False)
    for source, target in (("INT8", "INT8"), ("INT16", "INT16"), ("INT8", "INT16"), ("INT16", "INT8")):
        for unsigned in ((True, False), (False, True)):
            yield source, target, True, "SINGLE_ROUND", unsigned


def any_of(chosen):
    """A batch that draws one of several forms."""
    return lambda rng: rescale(rng, *chosen[int(rng.integers(len(chosen)))])


def some(scale32, rounding, signed):
    return any_of([f for f in forms() if f[2] == scale32 and f[3] == rounding and (not any(f[4])) == signed])


campaigns = [
    Campaign("RESCALE, SINGLE_ROUND", "tosa", some(True, "SINGLE_ROUND", True)),
    Campaign("RESCALE, DOUBLE_ROUND", "tosa_double", some(True, "DOUBLE_ROUND", True)),
    Campaign("RESCALE, 16-bit multipliers", "tosa", some(False, "SINGLE_ROUND", True)),
    Campaign("RESCALE, unsigned", "tosa", some(True, "SINGLE_ROUND", False)),
    Campaign("MATMUL i8, RESCALE", "tosa", partial(matmul, kind="INT8", total="INT32", target="INT8")),
    Campaign("MATMUL i16, RESCALE", "tosa", partial(matmul, kind="INT16", total="INT48", target="INT16")),
    Campaign("CONV2D i8, RESCALE", "tosa", partial(conv2d, kind="INT8", total="INT32", target="INT8", depthwise=False)),
    Campaign("CONV2D i16, RESCALE", "tosa", partial(conv2d, kind="INT16", total="INT48", target="INT16", depthwise=False)),
    Campaign("DEPTHWISE_CONV2D i8, RESCALE", "tosa", partial(conv2d, kind="INT8", total="INT32", target="INT8",
                                                             depthwise=True)),
    Campaign("TABLE i8", "tosa", table),
    Campaign("TABLE i16", "tosa", table_wide),
    Campaign("AVG_POOL2D i8", "tosa", partial(average_pool, kind="INT8")),
    Campaign("AVG_POOL2D i16", "tosa", partial(average_pool, kind="INT16")),
    *(Campaign(f"{op} {name} as RESCALEs, {rounding}", dialect, partial(batch, kind=kind, dialect=dialect, rounding=rounding))
      for dialect, rounding in (("tosa", "SINGLE_ROUND"), ("tosa_double", "DOUBLE_ROUND"))
      for name, kind in (("i8", "INT8"), ("i16", "INT16"))
      for op, batch in (("ADD", partial(joined, op="ADD")), ("SUB", partial(joined, op="SUB")), ("MUL", mul))),
]
