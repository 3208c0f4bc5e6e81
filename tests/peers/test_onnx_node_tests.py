"""ONNX's own backend node tests, as far as they are about what refq has: quantized operations under dialect `onnx`, and plain
integer ones. Zero tolerance; every case by spec and by kernel. The standard's reference evaluator runs them beside refq.

Out of scope: float8 and float4 codes, and elementwise operations of 64 bits (refq's have 48).
"""
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from refq import dialects
from refq.errors import IllFormed
from refq.ints.width import I32, Width
from refq.ops import dequantize, elementwise, matmul, quantize, rescale_float32
from refq.ops import max_pool as pool
from tests.peers.live import both

CODES = {"INT8": Width(8), "UINT8": Width(8, False), "INT16": Width(16), "UINT16": Width(16, False), "INT4": Width(4),
         "UINT4": Width(4, False), "INT2": Width(2), "UINT2": Width(2, False), "INT32": I32, "UINT32": Width(32, False),
         "BOOL": Width(1, False)}
ROLES = {name: role.row for name, role in dialects.load("onnx").roles.items()}
TWO = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "divide", "Max": "max", "Min": "min", "BitwiseAnd": "and",
       "BitwiseOr": "or", "BitwiseXor": "xor", "And": "and", "Or": "or", "Xor": "xor", "Equal": "equal", "Greater": "greater",
       "GreaterOrEqual": "greater_equal", "Less": "greater", "LessOrEqual": "greater_equal"}
ONE = {"BitwiseNot": "not", "Not": "not"}


def attributes(node):
    from onnx import helper
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def held(value):
    """(array, the Width of its codes or None) of what a test holds: an array, or a TensorProto of an odd type."""
    from onnx import TensorProto, helper, numpy_helper
    if isinstance(value, TensorProto):
        name = TensorProto.DataType.Name(value.data_type)
        array = numpy_helper.to_array(value)
    else:
        array = np.asarray(value)
        name = TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))
    width = CODES.get(name)
    return (array.astype(width.dtype) if width else array), width


def spread(value, shape, axis=1, block=0):
    """A scale or zero point over an array of `shape`."""
    if block:
        return np.repeat(value, block, axis)[tuple(slice(s) for s in shape)]
    lying = [-1 if i == axis else 1 for i in range(len(shape))]
    return np.broadcast_to(value if value.ndim == 0 else value.reshape(lying), shape)


def quantize_linear(given, out, axis=1, block_size=0, **_):
    x, s = given[0][0], given[1][0]
    z = given[2][0] if len(given) > 2 else np.zeros_like(s).astype(out.dtype)
    row = replace(ROLES["quantize"], out=out)
    built = quantize.build(row, *(spread(v, x.shape, axis, block_size).ravel() for v in (s, z)))
    return [both("quantize", row, x=x.reshape(1, -1), **built).reshape(x.shape)]


def dequantize_linear(given, out, axis=1, block_size=0, **_):
    (q, width), s = given[0], given[1][0]
    z = given[2][0] if len(given) > 2 else np.zeros_like(s).astype(width.dtype)
    row = replace(ROLES["dequantize"], q=width)
    built = dequantize.build(row, *(spread(v, q.shape, axis, block_size).ravel() for v in (s, z)))
    return [both("dequantize", row, q=q.reshape(1, -1), **built).reshape(q.shape)]


def dynamic_quantize_linear(given, out):
    x = given[0][0]
    lo, hi = min(x.min(), 0), max(x.max(), 0)
    s = np.float32((np.float32(hi) - np.float32(lo)) / np.float32(255))
    z = np.rint(np.clip(-np.float32(lo) / s, 0, 255)).astype(np.uint8)
    return [*quantize_linear([(x, None), (np.asarray(s), None), (np.asarray(z), None)], out), s, z]


def multiplied(x, width, w, w_width, zx, zw):
    """The sums (n m) of x (n k) and w (k m)."""
    row = replace(ROLES["matmul"], x=width, w=w_width)
    return both("matmul", row, x=x, **matmul.build(row, w.T, None, np.ravel(zx)[0], zw if np.size(zw) > 1 else np.ravel(zw)[0]))


def matmul_integer(given, out):
    (x, a), (w, b), (zx, _), (zw, _) = given
    return [multiplied(x, a, w, b, zx, zw)]


def rescaled(acc, sx, sw, sy, zy, out):
    row, parts = replace(ROLES["rescale"], out=out), [np.ravel(np.asarray(v, np.float64)) for v in (sx, sw)]
    built = rescale_float32.build(row, [np.broadcast_to(p, acc.shape[-1:]) for p in parts], float(np.ravel(sy)[0]), 0,
                                  int(np.ravel(zy)[0]))
    return both("rescale_float32", row, acc=acc.reshape(-1, acc.shape[-1]), **built).reshape(acc.shape)


def qlinear_matmul(given, out):
    (x, a), (sx, _), (zx, _), (w, b), (sw, _), (zw, _), (sy, _), (zy, _) = given
    pairs = zip(x.reshape(-1, *x.shape[-2:]), w.reshape(-1, *w.shape[-2:]))
    acc = np.array([multiplied(p, a, q, b, zx, zw) for p, q in pairs]).reshape(*x.shape[:-1], w.shape[-1])
    return [rescaled(acc, sx, sw, sy, zy, out)]


def convolved(x, a, w, b, zx, zw, pads=(0, 0, 0, 0), **_):
    """The sums (n oh ow m) of an image (n c h w) and filters (m d kh kw)."""
    row = replace(ROLES["conv2d"], x=a, w=b, padding=tuple(pads))
    last = [np.ascontiguousarray(v.transpose(0, 2, 3, 1)) for v in (x, w)]
    return both("conv2d", row, x=last[0], w=last[1], bias=np.zeros(len(w), int), zx=np.ravel(zx)[0],
                zw=np.broadcast_to(np.ravel(zw), len(w)))


def conv_integer(given, out, **fields):
    (x, a), (w, b), (zx, _), *zw = given
    return [convolved(x, a, w, b, zx, zw[0][0] if zw else np.zeros(1, w.dtype), **fields).transpose(0, 3, 1, 2)]


def qlinear_conv(given, out, **fields):
    (x, a), (sx, _), (zx, _), (w, b), (sw, _), (zw, _), (sy, _), (zy, _) = given
    return [rescaled(convolved(x, a, w, b, zx, zw, **fields), sx, sw, sy, zy, out).transpose(0, 3, 1, 2)]


def plain(word, given, out, **fields):
    arrays = np.broadcast_arrays(*(a for a, _ in given))
    row = elementwise.Row(word=word, a=given[0][1], b=given[-1][1], y=out, ties=fields.pop("ties", "half_up"))
    operands = {k: a.ravel() for k, a in zip("ab", arrays)}
    return [both("elementwise", row, **operands).reshape(arrays[0].shape)]


def element(op, given, out, direction=b"", **_):
    if op in ONE:
        return plain(ONE[op], given, out)
    if op == "BitShift":
        return plain("shift_left" if direction == b"LEFT" else "shift_right", given, out, ties="floor")
    return plain(TWO[op], given[::-1] if op.startswith("Less") else given, out, ties="trunc")


def clip(given, out, names):
    """Its inputs are there or not; `names`: as the node has them."""
    found = dict(zip([k for k, name in zip(("q", "lo", "hi"), names) if name], (a for a, _ in given)))
    lo, hi = int(found.get("lo", out.lo)), int(found.get("hi", out.hi))
    return [both("clip", replace(ROLES["clip"], q=out), q=found["q"].ravel(), lo=lo, hi=hi).reshape(found["q"].shape)]


def max_pool(given, out, kernel_shape, pads=(0, 0, 0, 0), strides=(1, 1), **_):
    row = pool.Row(q=out, kernel=tuple(kernel_shape), stride=tuple(strides), padding=tuple(pads))
    return [both("max_pool", row, q=np.ascontiguousarray(given[0][0].transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)]


QUANTIZED = {"QuantizeLinear": quantize_linear, "DequantizeLinear": dequantize_linear, "MatMulInteger": matmul_integer,
             "DynamicQuantizeLinear": dynamic_quantize_linear, "QLinearMatMul": qlinear_matmul, "QLinearConv": qlinear_conv,
             "ConvInteger": conv_integer}
INTEGER = (*TWO, *ONE, "BitShift", "Clip", "MaxPool")


@cache
def found():
    """Name to node test, of the operations in scope that stand alone and whose tensors refq holds."""
    from onnx.backend.test.case.node import collect_testcases
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        every, cases = collect_testcases(), {}
    for case in every:
        nodes = case.model.graph.node
        if case.kind != "node" or len(nodes) != 1 or nodes[0].op_type not in (*QUANTIZED, *INTEGER):
            continue
        inputs, outputs = ([held(v) for v in values] for values in case.data_sets[0])
        if nodes[0].op_type in QUANTIZED:
            if all(w or a.dtype in (np.float32, np.float16) for a, w in (*inputs, *outputs)):
                cases[case.name] = case, inputs, outputs
        elif all(w for _, w in (*inputs, *outputs)):
            cases[case.name] = case, inputs, outputs
    return cases


def by_refq(case, inputs, outputs):
    node = case.model.graph.node[0]
    if node.op_type == "Clip":
        return clip(inputs, outputs[0][1], node.input)
    how, out = attributes(node), outputs[0][1]
    if node.op_type == "MaxPool":
        return max_pool(inputs, out, **how)
    make = QUANTIZED.get(node.op_type)
    return make(inputs, out, **how) if make else element(node.op_type, inputs, out, **how)


REFUSED = {f"test_bitshift_{way}_int{bits}_{by}" for way in ("right", "left") for bits in (8, 32)
           for by in ("negative_shift", "shift_ge_width")} | {"test_mul_uint32"}
"""Shifts by negative amounts, and by 64 and more, and products of two 32-bit unsigned codes, which leave 63 bits and a sign:
refq refuses them."""


def of_family(quantized):
    return {name: found()[name] for name in found() if (found()[name][0].model.graph.node[0].op_type in QUANTIZED) == quantized}


@pytest.mark.parametrize(("quantized", "expected"), [(True, 34), (False, 127)], ids=["quantized", "integer"])
def test_node_tests(need, tally, quantized, expected):
    """Every case in scope, bit for bit, floats too; and exactly as many as expected. test_dynamicquantizelinear tells a float32
    quotient (0.5 / 0.019607844 is 25.5, code 179) from the exact one (25.4999997, code 178)."""
    need("onnx.backend.test.case.node")
    wrong, count, cases = [], 0, of_family(quantized)
    for name, (case, inputs, outputs) in cases.items():
        if name in REFUSED:
            with pytest.raises(IllFormed, match="allowed is 0 to|leaves 64 bits"):
                by_refq(case, inputs, outputs)
            continue
        for got, (want, _) in zip(by_refq(case, inputs, outputs), outputs, strict=True):
            count += want.size
            if not np.array_equal(got, want):
                wrong.append(name)
    assert not wrong
    tally(f"ONNX node tests, {'quantized' if quantized else 'integer'}, {len(cases)} cases", count)
    assert len(cases) == expected


def test_the_evaluator_passes_its_own_tests(need):
    """It departs from the prose at ties of odd zero points (test_onnx_reference.py); these tests have none of them."""
    evaluator, apart = need("onnx.reference").ReferenceEvaluator, set()
    for name, (case, _, outputs) in found().items():
        feeds = {i.name: v for i, v in zip(case.model.graph.input, case.data_sets[0][0])}
        from onnx import TensorProto, numpy_helper
        feeds = {k: numpy_helper.to_array(v) if isinstance(v, TensorProto) else v for k, v in feeds.items()}
        got = evaluator(case.model).run(None, feeds)
        if not all(np.array_equal(np.asarray(g).astype(w.dtype), w) for g, (w, _) in zip(got, outputs, strict=True)):
            apart.add(name)
    assert not apart
