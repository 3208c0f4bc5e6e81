"""Real kernels, judged: builds a variant of a C kernel, gives it a pack to be judged by, and asks for the verdict.

A family is a folder here with NAME.c, NAME.toml (a kernel.toml) and wrong.toml, which lists the wrong versions of each
kernel: `[NAME.VARIANT]` with `bug` in words and `cause`, a regular expression for the mutant that the diagnosis must find. A
variant is made by -DVARIANT.
"""
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refq import ops
from refq.graph.program import Program, Step, Tensor
from refq.grids.affine import Affine
from refq.ints.accumulate import Accumulate
from refq.ints.width import I8, I16, I32, U8, Width
from refq.vectors.diagnosis.causes import outside
from refq.vectors.diagnosis.diagnose import diagnose
from refq.vectors.diagnosis.place import Place
from refq.vectors.kernels.kernel import each_judged, report_of
from refq.vectors.record import record

HERE = Path(__file__).parent
W4, U4 = Width(4), Width(4, False)
MATMUL, CONV, RESCALE, FLOAT = (ops.load(op).Row for op in ("matmul", "conv2d", "rescale", "rescale_float32"))
TFLITE = RESCALE(high="half_up", ties="half_away")
SATURATING = RESCALE(high="half_up", ties="half_away", overflow="saturate")
PAIRS = Accumulate("pairs", 1, "saturate", I16, 1, I32)


def wrong(family):
    """Every wrong version of a family: (kernel, variant, what wrong.toml says of it)."""
    found = tomllib.loads((HERE / family / "wrong.toml").read_text())
    return [(kernel, name, about) for kernel, variants in found.items() for name, about in variants.items()]


def judged(family, toml, pack, folder, variant=None):
    """(Report, Diagnosis or None) of a kernel against a pack, built in a copy of its folder under `folder`."""
    place = Path(shutil.copytree(HERE / family, folder / f"{family}-{toml}-{variant or 'right'}", dirs_exist_ok=True))
    shutil.copy(HERE / "folder.h", place)
    path = place / f"{toml}.toml"
    if variant:
        text, first = path.read_text(), 'gcc", '
        assert text.count(first) == 1
        path.write_text(text.replace(first, f'{first}"-D{variant}", '))
    units = list(each_judged(pack, path))
    report = report_of(pack, f"{toml}, {variant or 'right'}", 0, units)
    if report.passed or report.faults:
        return report, None
    return report, next((d for d in report.diagnoses if hasattr(d, "causes")), None) or diagnosis(pack, units)


def diagnosis(pack, units):
    """The Diagnosis of what a kernel gave in some units (each a Judged)."""
    cases = [pack.case(i) for i in range(pack.cases)]
    places = [Place(pack.program, u.unit.steps, {name: np.stack([case[name] for case in cases])
                                                 for name in outside(pack.program, u.unit.steps)}) for u in units]
    return diagnose(places, [u.codes for u in units])


@dataclass
class Layer:
    """One operation with its rescale, if there is one: rows, the shape of x, what is constant, the real scales (m)."""

    op: str
    row: object
    rescale: object
    shape: tuple
    w: np.ndarray
    bias: np.ndarray
    zx: int = 0
    scales: np.ndarray | None = None
    zp: int = 0
    zw: object = 0


def program(layers):
    """A Program of layers side by side: steps `matmul.0`, `rescale.0`, `matmul.1` ..., inputs `matmul.0.x` ..."""
    tensors, constants, steps, outputs = {}, {}, [], []

    def tensor(name, shape, width, role, grid=None):
        tensors[name] = Tensor(name, tuple(shape), width, grid and Affine(width, np.float64(1), np.int64(0), None), role)
        return name

    def add(name, op, row, source, built, result, shape, role):
        inputs = {next(iter(row.takes)): source}
        for operand, codes in built.items():
            width = row.takes[operand].width
            codes = np.ascontiguousarray(codes, width.dtype).reshape(np.shape(codes))
            inputs[operand] = tensor(f"{name}.{operand}", codes.shape, width,
                                     {"w": "weight", "bias": "bias"}.get(operand, "parameter"))
            constants[inputs[operand]] = codes
        width = next(iter(row.gives.values())).width
        tensor(result, shape, width, role, grid=True)
        steps.append(Step(name, op, row, {k: inputs[k] for k in row.takes}, {next(iter(row.gives)): result},
                          {"scale": np.ones(1)}))

    for i, layer in enumerate(layers):
        name, m = f"{layer.op}.{i}", len(layer.w)
        x = tensor(f"{name}.x", layer.shape, layer.row.x, "input", grid=True)
        shape = (layer.shape[0], m) if layer.op == "matmul" else (*places(layer), m)
        built = {"w": layer.w, "bias": layer.bias, "zx": layer.zx, "zw": np.broadcast_to(layer.zw, m)}
        if layer.rescale is None:
            add(name, layer.op, layer.row, x, built, f"{name}.acc", shape, "output")
            outputs.append(f"{name}.acc")
            continue
        add(name, layer.op, layer.row, x, built, f"{name}.acc", shape, "accumulator")
        op = "rescale_float32" if isinstance(layer.rescale, FLOAT) else "rescale"
        add(f"{op}.{i}", op, layer.rescale, f"{name}.acc", ops.load(op).build(layer.rescale, (layer.scales,), 1.0, 0, layer.zp),
            f"{op}.{i}.y", shape, "output")
        outputs.append(f"{op}.{i}.y")
    return Program(tuple(steps), tensors, constants, tuple(t for t in tensors if tensors[t].role == "input"), tuple(outputs),
                   "tflite", "int8", {}, "half_away")


def places(layer):
    """Rows and columns of the result of a convolution."""
    (h, w, _), (_, kh, kw, _), (top, left, bottom, right) = layer.shape, layer.w.shape, layer.row.padding
    (sy, sx), (dy, dx) = layer.row.stride, layer.row.dilation
    return (h + top + bottom - dy * (kh - 1) - 1) // sy + 1, (w + left + right - dx * (kw - 1) - 1) // sx + 1


def channels(rng, width, m, shape, row, reach=60, lifted=False):
    """(w, bias, scales) of m channels that take turns: sums of all products, scaled into the range or beyond its ends; single
    codes, scaled by small powers of two, so that ties are common; single codes, scaled up; where `lifted`, sums that a left
    shift takes out of 32 bits."""
    size = int(np.prod(shape))
    w = rng.integers(max(width.lo, -127), width.hi, (m, size), endpoint=True)
    typical = reach / (size ** 0.5 * max(-row.lo, row.hi) / 2 * width.hi / 2)
    scales, bias = np.empty(m), rng.integers(-3000, 3000, m)
    for j in range(m):
        kind = j % 5
        if kind in (1, 3):
            sign = 1 if kind == 3 or j // 5 % 2 else -1
            w[j], bias[j] = 0, rng.integers(-20, 20) - sign * (row.lo + row.hi + 1) // 2
            w[j, rng.integers(size)] = sign
            scales[j] = 2.0 ** -(3 + j % 3) if kind == 1 else rng.uniform(1.1, 3)
        elif kind == 4 and lifted:
            scales[j] = 2.0 ** 16 * rng.uniform(0.55, 0.95)
        else:
            scales[j] = typical * rng.uniform(0.7, 1.5) * (3 if j % 10 == 7 else 1)
    return w.reshape(m, *shape), bias, scales


def codes(rng, layer, cases):
    """Codes of x (cases *shape): anything, with both rails; of a matmul two rows are of the
    highest (one after 12 of the lowest), and some begin with 16 of the lowest, or with half of them."""
    width = layer.row.x
    x = rng.integers(width.lo, width.hi, (cases, *layer.shape), endpoint=True)
    x = np.where(rng.integers(0, 8, x.shape) == 0, rng.choice([width.lo, width.hi], x.shape), x)
    x[0, 0], x[-1, -1] = width.lo, width.hi
    if layer.op == "matmul":
        x[:, 2:4], x[:, 3, :12] = width.hi, width.lo
        x[:, 1::6, :16] = width.lo
        x[:, 4::6, :16] = np.where(rng.integers(0, 2, x[:, 4::6, :16].shape), width.lo, x[:, 4::6, :16])
    return x.astype(width.dtype)


# Sizes leave a tail of their own in loops of 2, 4, 8, 16 and 32.

def scalar_matmul(rng):
    n, k, m = 31, 63, 31
    w, bias, scales = channels(rng, I8, m, (k,), I8)
    return Layer("matmul", MATMUL(), TFLITE, (n, k), w, bias, 3, scales, -7)


def scalar_conv2d(rng):
    h, width, c, m, kh, kw = 8, 13, 5, 7, 3, 2
    w, bias, scales = channels(rng, I8, m, (kh, kw, c), I8, lifted=True)
    row = CONV(stride=(1, 2), padding=(1, 1, 1, 1))
    return Layer("conv2d", row, SATURATING, (h, width, c), w, bias, -5, scales, 11)


def packed_nibbles(rng):
    n, k, m = 31, 63, 15
    w, bias, scales = channels(rng, W4, m, (k,), I8)
    w[2], scales[2] = -8, 0.003
    return Layer("matmul", MATMUL(w=W4), RESCALE(), (n, k), w, bias // 20, 3, np.minimum(scales, 3), -7)


def packed_swar(rng):
    n, k, m = 15, 607, 7
    w = rng.integers(-8, 7, (m, k), endpoint=True)
    w[0], w[1], w[2], w[3] = -8, 7, 7, -8
    return Layer("matmul", MATMUL(x=U4, w=W4), None, (n, k), w, rng.integers(-500, 500, m))


def avx2_matmul(rng):
    n, k, m = 31, 127, 31
    w, bias, scales = channels(rng, I8, m, (k,), U8)
    return Layer("matmul", MATMUL(x=U8, accumulate=PAIRS), FLOAT(out=U8), (n, k), w, bias, 0, np.minimum(scales, 3), 101)


def neon_matmul(rng):
    n, k, m = 31, 63, 23
    w, bias, scales = channels(rng, I8, m, (k,), I8)
    for j, places, scale in ((0, (0, 1, 2, 3, 4, 5, 8, 9, 12), 0.9), (10, (0, 1, 2, 8, 9, 10), 0.9), (5, range(16), 0.0002)):
        w[j], w[j, 20], scales[j] = 0, 1, scale
        w[j, places], bias[j] = -128, -len(places) * 131 * 128
    return Layer("matmul", MATMUL(), TFLITE, (n, k), w, bias, 3, scales, -7)


LAYERS = {"scalar/matmul": scalar_matmul, "scalar/conv2d": scalar_conv2d, "packed/nibbles": packed_nibbles,
          "packed/swar": packed_swar, "avx2/matmul": avx2_matmul, "avx2/haswell": avx2_matmul, "neon/matmul": neon_matmul}
"""Family/kernel to what makes the layer that its pack holds."""


def pack(kernel, folder, cases=4):
    """A Pack for a kernel of LAYERS, on inputs that show each of its wrong versions."""
    layer = LAYERS[kernel](np.random.default_rng(7))
    made = program([layer])
    x = codes(np.random.default_rng(8), layer, cases)
    return record(made, {made.inputs[0]: x}, folder / kernel.replace("/", "-"), cases=cases)
