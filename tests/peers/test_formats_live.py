"""Small floating-point formats, live: casts of ml_dtypes, onnx's evaluator, onnxruntime and torch against quantize_minifloat.

Compared are every number of a format, every middle, the float32 numbers beside both, what is beyond, infinities and NaN. Where an
engine departs the test says on which numbers, and that there are no others.
"""
import ctypes

import numpy as np
import pytest

from refq.grids.minifloat import Minifloat
from refq.ints import minifloat
from refq.ops import quantize_minifloat
from refq.ops.quantize_minifloat import PUBLISHED, Row

F = np.float32
ONNX = {"e4m3fn": "FLOAT8E4M3FN", "e5m2": "FLOAT8E5M2", "e4m3fnuz": "FLOAT8E4M3FNUZ", "e5m2fnuz": "FLOAT8E5M2FNUZ"}
TORCH = {"e4m3fn": "float8_e4m3fn", "e5m2": "float8_e5m2", "e4m3fnuz": "float8_e4m3fnuz", "e5m2fnuz": "float8_e5m2fnuz",
         "float16": "float16", "bfloat16": "bfloat16"}


def numbers(name):
    f = minifloat.load(name)
    known = np.unique(f.values[np.isfinite(f.values)])
    beyond = known[-1] * np.array([1.01, 1.03, 1.07, 1.25, 1.5, 2, 9])
    with np.errstate(over="ignore"):
        x = np.concatenate([known, (known[1:] + known[:-1]) / 2, beyond, -beyond]).astype(F)
        beside = [np.nextafter(x, F(end)) for end in (-np.inf, np.inf)]
    return np.concatenate([x, *beside, F([-0.0, np.inf, -np.inf, np.nan, -np.nan, 3e38, -3e38, 1e-40, -1e-40])])


def ours(x, row):
    y = np.empty((len(x), 1), minifloat.load(row.format).width.dtype)
    quantize_minifloat.kernel(row)(x.reshape(-1, 1), np.ones(1, F), y)
    return y[:, 0]


def exact(name):
    return Row(name, beyond="special", infinity="special") if minifloat.load(name).nan else Row(name, nan="zero")


def cast(onnx, name, saturate, count):
    """A model of one Cast of `count` numbers."""
    helper, kind = onnx.helper, getattr(onnx.TensorProto, name)
    more = {} if name == "FLOAT4E2M1" else {"saturate": saturate}
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [count])
    made = helper.make_tensor_value_info("y", kind, [count])
    graph = helper.make_graph([helper.make_node("Cast", ["x"], ["y"], to=kind, **more)], "cast", [given], [made])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


def departing(x, a, b):
    return x[a != b]


def dtype(ml_dtypes, name):
    if name == "float16":
        return np.float16
    return ml_dtypes.bfloat16 if name == "bfloat16" else getattr(ml_dtypes, f"float{minifloat.load(name).bits}_{name}")


@pytest.mark.parametrize("name", minifloat.names)
def test_ml_dtypes(need, name):
    """All alike, but for a NaN of formats that have none: it becomes -0, and a negative one 0."""
    x = numbers(name)
    with np.errstate(all="ignore"):
        theirs = x.astype(dtype(need("ml_dtypes"), name)).view(minifloat.load(name).width.dtype)
    differ = departing(x, ours(x, exact(name)), theirs)
    assert len(differ) == 0 or minifloat.load(name).nan is None and np.isnan(differ).all()


@pytest.mark.parametrize("name", ["e2m1fn", "e3m2fn", "e4m3fn", "e5m2", "bfloat16"])
def test_ml_dtypes_rounds_float64_twice(need, name):
    """Float64 numbers beside a middle go by way of float32 onto it: 0.25 + 2**-42 becomes 0 in float4, where 0.5 is nearer."""
    f = minifloat.load(name)
    known = np.unique(np.abs(f.values[np.isfinite(f.values)]))[:200]
    middles = (known[1:] + known[:-1]) / 2
    x = np.concatenate([middles * (1 + 2.0 ** -40), middles * (1 - 2.0 ** -40)])
    theirs = x.astype(dtype(need("ml_dtypes"), name)).view(f.width.dtype)
    right = Minifloat(name).encode(x)
    assert (right != theirs).sum() == len(x) // 2
    twice = Minifloat(name).encode(x.astype(F))
    assert np.array_equal(twice, theirs)


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("name", ONNX)
def test_onnx_evaluator_and_runtime(need, name, saturate):
    """Cast, as float8.md says; but infinities saturate under FNUZ formats too, and onnxruntime's NaN of e5m2 is 0x7F."""
    onnx, x = need("onnx"), numbers(name)
    from onnx.reference import ReferenceEvaluator
    row = PUBLISHED[name if saturate else f"{name}_unsaturated"]
    model, expected = cast(onnx, ONNX[name], saturate, len(x)), ours(x, row)
    assert np.array_equal(np.asarray(ReferenceEvaluator(model).run(None, {"x": x})[0]).view(np.uint8), expected)
    if saturate and "fnuz" in name:
        assert np.isinf(departing(x, ours(x, PUBLISHED[f"{name}_document"]), expected)).all()
    runtime = need("onnxruntime")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = session.run_with_ort_values(None, {"x": runtime.OrtValue.ortvalue_from_numpy(x)})[0]
    theirs = np.frombuffer((ctypes.c_uint8 * len(x)).from_address(made.data_ptr()), np.uint8).copy()
    differ = departing(x, expected, theirs)
    assert np.isnan(differ).all() and len(differ) == 2 * (name == "e5m2")


def test_onnx_evaluator_and_float4(need):
    """float4.md says that NaN becomes 6; the evaluator gives -0, and 0 for a negative one. Everything else is alike."""
    onnx, x = need("onnx"), numbers("e2m1fn")
    from onnx.reference import ReferenceEvaluator
    theirs = np.asarray(ReferenceEvaluator(cast(onnx, "FLOAT4E2M1", 1, len(x))).run(None, {"x": x})[0]).view(np.uint8)
    assert np.isnan(departing(x, ours(x, PUBLISHED["float4"]), theirs)).all()
    assert theirs[np.isnan(x)].tolist() == [8, 0]


@pytest.mark.parametrize("name", TORCH)
def test_torch(need, name):
    """e4m3fn saturates and the others do not; a NaN of e5m2 is 0x7F, one of bfloat16 keeps no sign in long arrays."""
    torch, x, f = need("torch"), numbers(name), minifloat.load(name)
    kind = getattr(torch, TORCH[name])
    theirs = torch.from_numpy(x).to(kind).view(torch.uint8 if f.bits == 8 else torch.int16).numpy().view(f.width.dtype)
    expected = ours(x, PUBLISHED["e4m3fn"] if name == "e4m3fn" else exact(name))
    differ = departing(x, expected, theirs)
    assert np.isnan(differ).all()
    assert not differ.size or name in ("e5m2", "bfloat16")


def test_torch_rounds_float64_twice(need):
    """2**-25 + 2**-65 becomes 0 in float16, where 2**-24 is nearer; NumPy's own cast gives that."""
    torch, x = need("torch"), np.array([2.0 ** -25 + 2.0 ** -65])
    assert torch.from_numpy(x).half().view(torch.int16).tolist() == [0]
    assert x.astype(np.float16).view(np.uint16).tolist() == Minifloat("float16").encode(x).tolist() == [1]
