"""Campaigns of ONNX operations that turn reals into codes, codes into reals, and codes into codes element by element."""
import numpy as np

from refq.ints.width import I8, I16, I32, U8, U16
from tools.engines.campaign import Compared, play
from tools.engines.onnx_models import MICROSOFT
from tools.engines.qlinear_models import I4, NARROW, U4, F, drawn, frozen, hard, named, scale, zeros

WIDTHS = (I8, U8, I16, U16)
COUNT = 60_000
EDGES = np.array([0, -0.0, 1e-45, -1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan], F)
NEAR = EDGES[:4]


def contained(codes, width):
    """Codes in the type that a model holds them in."""
    if width not in NARROW:
        return codes
    import ml_dtypes
    return codes.astype(getattr(ml_dtypes, NARROW[width]))


def reals(rng, width, wide, zero, shape, edges):
    """Reals at ties of a grid, one step of float32 beside them, beyond its ends, anywhere; and at `edges`."""
    k = rng.integers(width.lo - 3, width.hi + 3, shape) - zero.astype(int)
    x = ((k + rng.choice([0, 0.5, 0.5, rng.uniform()], shape)) * wide.astype(float)).astype(F)
    for direction in (-np.inf, np.inf):
        x = np.where(rng.integers(0, 4, shape) == 0, np.nextafter(x, F(direction)), x)
    return np.where(rng.integers(0, 64, shape) == 0, rng.choice(edges, shape), x)


def sliced(rng, shape, slices):
    """How a grid lies on an array (rows columns): per tensor, per column or in blocks of a row. Gives the shape of scales,
    what spreads them over the array, and the attributes."""
    rows, columns = shape
    if slices == "tensor":
        return (), lambda v: np.broadcast_to(v, shape), {}
    if slices == "axis":
        return (columns,), lambda v: np.broadcast_to(v, shape), {"axis": 1}
    block = int(rng.choice([16, 32, 5]))
    count = -(-columns // block)
    return (rows, count), lambda v: np.repeat(v, block, 1)[:, :columns], {"axis": 1, "block_size": block}


def quantized(dialect, run, width, slices, edges, rng):
    """QuantizeLinear; 4-bit codes are cast to 8, since arrays of them do not leave a runtime."""
    columns = int(rng.choice([1, 7, 48, 129])) if slices != "blocks" else 96
    shape = COUNT // columns, columns
    per, over, attributes = sliced(rng, shape, slices)
    s, z = scale(rng, rng.integers(0, 3) == 0, per), zeros(rng, width, per)
    x = reals(rng, width, over(s), over(z), shape, edges)
    nodes = [("QuantizeLinear", "x s z", "q", attributes)]
    if width in NARROW:
        nodes.append(("Cast", "q", "y", {"to": 3 if width == I4 else 2}))
    theirs = run({"x": x, "s": s, "z": contained(z, width)}, *nodes, frozen=("s", "z"))[0]
    ours = play(dialect, "quantize", {"out": width}, {"x": x.reshape(1, -1)}, scale=over(s).ravel(),
                zp=over(z).ravel()).reshape(shape)
    with np.errstate(all="ignore"):
        real = (x / over(s)).astype(np.float64)
    return Compared(ours, theirs, hard(real, ours, width), f"{slices}, scales {np.ravel(s)[:3]}, x {x[:2, :2].tolist()}")


def dequantized(dialect, run, width, slices, rng):
    """DequantizeLinear; as hard as a product that float32 rounds."""
    columns = int(rng.choice([1, 7, 48, 129])) if slices != "blocks" else 96
    shape = COUNT // columns, columns
    per, over, attributes = sliced(rng, shape, slices)
    s, z, q = scale(rng, False, per), zeros(rng, width, per), drawn(rng, width, shape)
    feeds = {"q": contained(q, width), "s": s} | ({} if width == I32 else {"z": contained(z, width)})
    names = "q s" if width == I32 else "q s z"
    z = z * 0 if width == I32 else z
    held = [k for k in feeds if k != "q" or width in NARROW]
    theirs = run(feeds, ("DequantizeLinear", names, "y", attributes), frozen=held)[0]
    ours = play(dialect, "dequantize", {"q": width}, {"q": q.reshape(1, -1)}, scale=over(s).ravel(),
                zp=over(z).ravel()).reshape(shape)
    rounded = ours != (q.astype(np.int64) - over(z)) * over(s).astype(np.float64)
    return Compared(ours, theirs, int(rounded.sum()), f"{slices}, scales {np.ravel(s)[:3]}, codes {q[:2, :2].tolist()}")


def chosen(x):
    """DynamicQuantizeLinear's grid: the range widened to hold 0, its float32 width over 255; and the zero point."""
    lo, hi = F(min(0, x.min())), F(max(0, x.max()))
    s = F((hi - lo) / F(255)) if hi != lo else F(1)
    return s, int(np.rint(np.clip(F(0) - lo / s, 0, 255)))


def ranged(rng, shape):
    """Reals of any range, most of them ties of the grid that DynamicQuantizeLinear takes."""
    unit = float(scale(rng, rng.integers(0, 2)))
    lo = int(rng.choice([0, 255, 128, rng.integers(0, 256)]))
    k = rng.integers(-lo, 256 - lo, shape)
    x = ((k + rng.choice([0, 0.5, 0.5, rng.uniform()], shape)) * unit).astype(F)
    x = np.clip(x, F(-lo * unit), F((255 - lo) * unit))
    x.ravel()[:2] = -lo * unit, (255 - lo) * unit
    return x


def dynamic(dialect, run, rng):
    """DynamicQuantizeLinear: codes, and behind them its scale and zero point."""
    x = ranged(rng, (COUNT,))
    theirs = [np.ravel(v).astype(np.float64) for v in run({"x": x}, ("DynamicQuantizeLinear", "x", "y s z", {}))]
    s, z = chosen(x)
    ours = play(dialect, "quantize", {"out": U8}, {"x": x.reshape(-1, 1)}, scale=s, zp=z).ravel()
    return Compared(np.concatenate([ours, [s, z]]), np.concatenate(theirs), hard((x / s).astype(np.float64), ours, U8),
                    f"from {x.min()!r} to {x.max()!r}")


def dynamic_product(dialect, run, w, biased, rng):
    """DynamicQuantizeMatMul: activations quantized on the way, sums dequantized."""
    n, k, m = int(rng.choice([1, 9, 120])), int(rng.choice([1, 5, 33, 130])), 0
    m, x = COUNT // n, ranged(rng, (n, k + 1))
    feeds = {"x": x, "w": drawn(rng, w, (k + 1, m)), "s": scale(rng, False, (m,)), "z": zeros(rng, w, (m,))}
    s, z = chosen(x)
    q = play(dialect, "quantize", {"out": U8}, {"x": x.reshape(-1, 1)}, scale=s, zp=z).reshape(x.shape)
    acc = play(dialect, "matmul", {"x": U8, "w": w}, {"x": q}, w=feeds["w"].T, bias=None, zx=z, zw=feeds["z"])
    ours = play(dialect, "dequantize", {"q": I32}, {"q": acc}, scale=s * feeds["s"], zp=0)
    if biased:
        feeds["b"] = (rng.normal(size=m) * float(s) * 99).astype(F) * feeds["s"]
        ours = ours + feeds["b"]
    held = frozen(rng, False, "w", "s", "z")
    theirs = run(feeds, ("DynamicQuantizeMatMul", "x w s z" + " b" * biased, "y", MICROSOFT), frozen=held)[0]
    return Compared(ours, theirs, int((ours != acc * (s * feeds["s"]).astype(np.float64)).sum()), f"{n} x {k + 1} x {m}")


def joined(dialect, run, role, nodes, a, b, out, rng):
    """Two tensors element by element; `nodes` make y of a, b and their scales and zero points."""
    even, count = rng.integers(0, 3) == 0, 0 if rng.integers(0, 8) else 1
    feeds = {"a": drawn(rng, a, COUNT + int(rng.integers(0, 99)))}
    feeds |= {"za": zeros(rng, a), "zb": zeros(rng, b), "zo": zeros(rng, out)}
    feeds["b"] = drawn(rng, b, count or feeds["a"].shape)
    sa, sb = scale(rng, even, (), -12, 4), scale(rng, even, (), -12, 4)
    if rng.integers(0, 3):              # hundredths: float32 ratios near ties
        sa, sb = (np.asarray(rng.integers(1, 80) / 100, F) for _ in range(2))
    top = a.hi - a.lo
    spread = float(sa) * float(sb) * top if role.startswith("mul") else max(float(sa), float(sb))
    spread *= 2.0 ** rng.integers(-3, 2) * (1 if even else rng.uniform(0.7, 1))
    feeds |= {"sa": sa, "sb": sb, "so": np.asarray(spread, F)}
    theirs = run(feeds, *nodes, frozen=("sa", "za", "sb", "zb", "so", "zo"))[0]
    wide = {"a": a, "b": b, "out": out, "join": "minus" if role.startswith("sub") else "plus"}
    both = {"a": feeds["a"], "b": np.ascontiguousarray(np.broadcast_to(feeds["b"], feeds["a"].shape))}
    built = {k: float(v) if k[0] == "s" else int(v) for k, v in feeds.items() if len(k) == 2}
    ours = play(dialect, role, wide, both, **built)
    da, db = ((feeds[k].astype(np.int64) - built["z" + k]) * built["s" + k] for k in "ab")
    real = (da * db if role.startswith("mul") else da - db if role.startswith("sub") else da + db) / built["so"]
    return Compared(ours, theirs, hard(real, ours, out), ", ".join(f"{k} {v}" for k, v in built.items()))


def carried(dialect, run, width, out, rng):
    """DequantizeLinear, QuantizeLinear: codes of one grid on another."""
    even = rng.integers(0, 3) == 0
    feeds = {"q": drawn(rng, width, COUNT), "sx": scale(rng, even), "zx": zeros(rng, width), "zo": zeros(rng, out)}
    top = float(feeds["sx"]) * (width.hi - width.lo) / (out.hi - out.lo)
    feeds["so"] = np.asarray(top * 2.0 ** rng.integers(-3, 2) * (1 if even else rng.integers(1, 40) / 10), F)
    nodes = ("DequantizeLinear", "q sx zx", "r", {}), ("QuantizeLinear", "r so zo", "y", {})
    theirs = run(feeds, *nodes, frozen=("sx", "zx", "so", "zo"))[0]
    ours = play(dialect, "requantize", {"acc": width, "out": out}, {"acc": feeds["q"].reshape(-1, 1)},
                factors=(float(feeds["sx"]),), unit=float(feeds["so"]), zin=int(feeds["zx"]), zp=int(feeds["zo"])).ravel()
    real = (feeds["q"].astype(np.int64) - int(feeds["zx"])) * float(feeds["sx"]) / float(feeds["so"])
    return Compared(ours, theirs, hard(real, ours, out), ", ".join(f"{k} {v}" for k, v in feeds.items() if k != "q"))


def around(function):
    """DequantizeLinear of both operands, the function, QuantizeLinear."""
    return (("DequantizeLinear", "a sa za", "ra", {}), ("DequantizeLinear", "b sb zb", "rb", {}), (function, "ra rb", "r", {}),
            ("QuantizeLinear", "r so zo", "y", {}))


ALONE = {"add": (("QLinearAdd", "a sa za b sb zb so zo", "y", MICROSOFT),),
         "mul": (("QLinearMul", "a sa za b sb zb so zo", "y", MICROSOFT),)}


def quantizing(dialect, run, widths=WIDTHS, blocks=(I8, U8), edges=EDGES, kind="", **excused):
    return [named(f"QuantizeLinear {w}{how}{kind}", dialect, quantized, dialect, run, w, slices, edges, **excused)
            for w in widths for slices, how in (("tensor", ""), ("axis", " per channel"))] + [
        named(f"QuantizeLinear {w} in blocks{kind}", dialect, quantized, dialect, run, w, "blocks", edges, **excused)
        for w in blocks]


def dequantizing(dialect, run, widths=(*WIDTHS, I32), blocks=(I8, U8, I4, U4)):
    return [named(f"DequantizeLinear {w}{how}", dialect, dequantized, dialect, run, w, slices)
            for w in widths for slices, how in (("tensor", ""), ("axis", " per channel"))] + [
        named(f"DequantizeLinear {w} in blocks", dialect, dequantized, dialect, run, w, "blocks") for w in blocks]


def dynamics(dialect, run):
    return [named("DynamicQuantizeLinear", dialect, dynamic, dialect, run)]


def dynamic_products(dialect, run, widths=(U8, I8)):
    return [named(f"DynamicQuantizeMatMul {w}", dialect, dynamic_product, dialect, run, w, False) for w in widths]


def alone(dialect, run, roles=("add", "mul")):
    """QLinearAdd and QLinearMul."""
    return [named(f"QLinear{role.title()} {w}", dialect, joined, dialect, run, role, ALONE[role], w, w, w)
            for role in roles for w in (U8, I8)]


def surrounded(dialect, run, roles, widths):
    """An operation between DequantizeLinear and QuantizeLinear; `roles`: of the dialect."""
    named_as = {role: role.split("_")[0].title() for role in roles}
    return [named(f"QDQ-{name} {w}", dialect, joined, dialect, run, role, around(name), w, w, w)
            for role, name in named_as.items() for w in widths]


def carrying(dialect, run, pairs=((U8, U8), (I8, U8), (I16, I8), (I8, I16))):
    return [named(f"QDQ-requantize {a} {b}", dialect, carried, dialect, run, a, b) for a, b in pairs]
