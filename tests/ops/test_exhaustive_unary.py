"""Unary operations of one code: kernel and spec agree on every code that there is, 2**8 or 2**16 of them."""
import numpy as np
import pytest

from refq import ops
from refq.ints.functions import named
from refq.ints.width import I8, I16, U8, U16
from tests.ops.strategies import by_kernel, by_spec

SCALES = 2.0 ** -11, 0.0037, 0.11


def every(width):
    return np.arange(width.lo, width.hi + 1).astype(width.dtype)


def built(op, row, *arguments, **facts):
    """The constants of a row in their dtypes."""
    made = ops.load(op).build(row, *arguments, **facts)
    return {k: np.asarray(v, row.takes[k].width.dtype) if row.takes[k].names else int(v) for k, v in made.items()}


def agree(op, row, operands):
    operands = {k: operands[k] for k in row.takes}
    for result, values in by_spec(op, row)(operands).items():
        np.testing.assert_array_equal(by_kernel(op, row)(operands)[result], values)


@pytest.mark.parametrize("reading", ["rounded", "raised"])
def test_table16(reading):
    """Every code through tables of three functions."""
    module = ops.load("table16")
    row = module.Row(reading=reading)
    for function in ("gelu", "tanh", "exp"):
        agree("table16", row, {"q": every(I16)} | built("table16", row, named(function), 2.0 ** -12, 5, 2.0 ** -14, -3))


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_logistic_table16(function):
    module = ops.load("logistic_table16")
    row = module.Row(function=function)
    for scale in (2.0 ** -12, *SCALES):
        agree("logistic_table16", row, {"q": every(I16)} | built("logistic_table16", row, scale, 0, *module.result(row)))


@pytest.mark.parametrize("width", [I8, U8, I16, U16], ids=str)
def test_leaky_relu_and_clip(width):
    leaky, clip = ops.load("leaky_relu").Row(q=width, out=width), ops.load("clip").Row(q=width)
    for zero in (width.lo, (width.lo + width.hi) // 2, width.hi):
        agree("leaky_relu", leaky, {"q": every(width), **built("leaky_relu", leaky, 0.3, 0.1, zero, 0.07, zero)})
        agree("clip", clip, {"q": every(width), "lo": zero // 2, "hi": zero})


@pytest.mark.parametrize("width", [I8, U8, I16], ids=str)
@pytest.mark.parametrize("op", ["rescale", "rescale_float32", "requantize_float32", "rescale_double"])
def test_requantizations(op, width):
    """Codes of one width onto another grid of the same: every code, three ratios."""
    row = ops.load(op).Row(acc=width, out=width)
    rng = np.random.default_rng(1)
    for _ in range(3):
        operands = {k: np.asarray(rng.integers(d.lo, min(d.hi, 1 << 30), 1, endpoint=True), d.width.dtype) if d.names else 3
                    for k, d in row.takes.items() if k != "acc" and d.width.dtype.kind != "f"}
        operands |= {k: np.asarray([0.37], np.float32) if d.names else np.float32(0.37) for k, d in row.takes.items()
                     if d.width.dtype.kind == "f"}
        agree(op, row, {"acc": every(width)[:, None], **operands})


@pytest.mark.parametrize("op", ["hard_swish", "logistic_fixed"])
@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_eight_bits(op, width):
    module = ops.load(op)
    row = module.Row(q=width, out=width)
    for scale in SCALES[1:]:
        onto = module.result(row) if hasattr(module, "result") else (0.05, 3)
        agree(op, row, {"q": every(width)} | built(op, row, scale, 3, *onto))
