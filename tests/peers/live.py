"""Small ONNX models for live engines, adversarial operands for them, and the comparison with refq's spec and kernel."""
from fractions import Fraction

import numpy as np
from onnx import helper, numpy_helper

from refq import dialects
from refq.ints.operand import check
from tests.ops.strategies import alike, by_kernel, by_spec, magnitudes, rails, small, uniform

STYLES = (uniform, rails, small, magnitudes, alike)
ROLES = {name: role.row for name, role in dialects.load("onnx").roles.items()}
F = np.float32


def model(feeds, dtype, nodes, frozen=()):
    """A model of `nodes`, each (operation, names of its inputs, name of its output, attributes); the last one gives
    the output, of `dtype`. `feeds`: name to array; those named in `frozen` become initializers."""
    last = nodes[-1][2]
    values = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
              for k, v in feeds.items() if k not in frozen]
    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "single", values, [helper.make_tensor_value_info(last, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)],
        [numpy_helper.from_array(feeds[k], k) for k in frozen])
    return helper.make_model(graph, ir_version=10,
                             opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])


def runtime(ort):
    """run(feeds, dtype, *nodes, frozen=()) -> the output, by ONNX Runtime on the CPU with nothing fused."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4          # what it refuses is asserted, not printed

    def run(feeds, dtype, *nodes, frozen=()):
        feeds = {k: np.ascontiguousarray(v).reshape(np.shape(v)) for k, v in feeds.items()}
        session = ort.InferenceSession(model(feeds, dtype, nodes, frozen).SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
        return session.run(None, {k: v for k, v in feeds.items() if k not in frozen})[0]

    return run


def reference(evaluator):
    """The same by onnx.reference.ReferenceEvaluator."""
    def run(feeds, dtype, *nodes, frozen=()):
        feeds = {k: np.asarray(v) for k, v in feeds.items()}
        y = evaluator(model(feeds, dtype, nodes, frozen)).run(None, {k: v for k, v in feeds.items() if k not in frozen})
        return np.asarray(y[0])

    return run


def codes(rng, width, shape=(), style=uniform):
    """Codes of a width in one of the STYLES."""
    return np.asarray(style(rng, width(), shape), width.dtype)


def both(op, row, **operands):
    """The result of spec and kernel, which must be the same."""
    arrays = {k: np.ascontiguousarray(operands[k], declared.width.dtype).reshape(np.shape(operands[k]))
              for k, declared in row.takes.items()}
    check(row.takes, arrays, op)
    arrays = {k: v if row.takes[k].names else v.item() for k, v in arrays.items()}
    (spec,), (kernel,) = (by(op, row)(arrays).values() for by in (by_spec, by_kernel))
    np.testing.assert_array_equal(kernel, spec)
    return spec


def equal(refq, engine):
    """Asserts that two results are the same codes in the same places; how many."""
    assert refq.size == engine.size
    np.testing.assert_array_equal(refq.reshape(engine.shape), engine)
    return engine.size


def scales(rng, shape=()):
    """Float32 scales without pattern."""
    return np.asarray(np.ldexp(rng.uniform(0.5, 1, shape), rng.integers(-9, 3, shape)), F)


def near_ties(rng, width, scale, zero, shape):
    """Reals at and around ties of a grid, beyond its ends, around 0, infinite."""
    k = rng.integers(width.lo - 3, width.hi + 3, shape) - zero
    x = ((k + rng.choice([0, 0.5, 0.5, 0.5], shape)) * scale.astype(float)).astype(F)
    for direction in (-np.inf, np.inf):
        x = np.where(rng.integers(0, 3, shape) == 0, np.nextafter(x, F(direction)), x)
    edges = rng.choice(np.array([0, -0.0, 1e-45, -1e-45, 3e38, -3e38, np.inf, -np.inf], F), shape)
    return np.where(rng.integers(0, 16, shape) == 0, edges, x)


def departs_at_ties(x, scale, zero, width, exact, got):
    """Asserts that codes differ by 1, and only where float32 rounds a quotient that is no tie onto a tie, which then
    goes to the even side; how many do."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = x / scale
    np.testing.assert_array_equal(got, np.clip(np.rint(single.astype(float)) + zero, width.lo, width.hi))
    places = np.argwhere(exact != got)
    scale, zero = np.broadcast_to(scale, x.shape), np.broadcast_to(zero, x.shape)
    for i in map(tuple, places):
        tie, quotient = Fraction(float(single[i])), Fraction(float(x[i])) / Fraction(float(scale[i]))
        assert tie.denominator == 2 and tie != quotient and abs(int(got[i]) - int(exact[i])) == 1
        assert abs(quotient - tie) <= Fraction(float(np.spacing(abs(single[i])))) / 2
        assert int(exact[i]) - int(zero[i]) == (tie + Fraction(1 if quotient > tie else -1, 2))
    return len(places)
