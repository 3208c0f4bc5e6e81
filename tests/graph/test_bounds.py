"""Bounds: the interval of every register against brute force; registers too narrow, biases that do not fit, zero weights."""
from dataclasses import replace
from itertools import product

import digits
import nets
import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import recipes
from refq.errors import IllFormed
from refq.graph.bounds import Bound, bounds, refuse_overflow, refuses
from refq.graph.program import Program, Step, Tensor
from refq.graph.quantize import quantize
from refq.grids.affine import Affine
from refq.ints.width import I16, I32, U4, Width
from refq.ops import batch_matmul, matmul, mean, shiftmax

I3 = Width(3)


def tiny(op, row, shapes, constants, zero=0, grids=None):
    """A program of one step; `shapes`: live operands, `constants`: the others."""
    tensors = {k: Tensor(k, s, row.takes[k].width, (grids or {}).get(k), "input") for k, s in shapes.items()}
    codes = {k: np.array(v, row.takes[k].width.dtype) for k, v in constants.items()}
    tensors |= {k: Tensor(k, c.shape, row.takes[k].width, None, "parameter") for k, c in codes.items()}
    tensors["acc"] = Tensor("acc", (1, 2), row.acc, None, "accumulator")
    step = Step("s", op, row, {k: k for k in row.takes}, {"acc": "acc"})
    return Program((step,), tensors, codes, tuple(shapes), ("acc",), "", "")


def sums(products, bias=0):
    """Every partial sum in any order, the bias first, last or in the middle."""
    for chosen in product((0, 1), repeat=len(products) + 1):
        yield sum(p for p, c in zip((*products, bias), chosen) if c)


@settings(max_examples=40)
@given(width=st.sampled_from((I3, U4)), w=st.lists(st.lists(st.integers(-8, 7), min_size=2, max_size=2), min_size=2, max_size=2),
       bias=st.lists(st.integers(-50, 50), min_size=2, max_size=2), zero=st.integers(0, 7), zw=st.integers(-8, 7))
def test_weighted_sums(width, w, bias, zero, zw):
    """Over all codes and all orders, a channel's register reaches exactly its bound."""
    zero = min(zero, width.hi)
    row = matmul.Row(x=width, w=Width(4))
    program = tiny("matmul", row, {"x": (1, 2)}, {"w": w, "bias": bias, "zx": zero, "zw": [zw, 0]})
    (bound,) = bounds(program)
    assert (bound.step, bound.register, bound.width) == ("s", "acc", I32)
    for channel, z in ((0, zw), (1, 0)):
        every = [s for x in product(range(width.lo, width.hi + 1), repeat=2)
                 for s in sums([(x[k] - zero) * (w[channel][k] - z) for k in range(2)], bias[channel])]
        assert (bound.lo[channel], bound.hi[channel]) == (min(every), max(every))


@pytest.mark.parametrize("za", [-4, 0, 3])
@pytest.mark.parametrize("zb", [-4, 1, 3])
def test_products_of_two_activations(za, zb):
    """Likewise for two activations, by all codes of both."""
    row = batch_matmul.Row(x=I3, w=I3)
    (bound,) = bounds(tiny("batch_matmul", row, {"x": (1, 1, 3), "w": (1, 2, 3)}, {"zx": za, "zw": zb}))
    every = [(a - za) * (b - zb) for a, b in product(range(-4, 4), repeat=2)]
    assert (bound.lo, bound.hi) == (3 * min(*every, 0), 3 * max(*every, 0))


def test_sums_of_a_mean():
    """A mean's register holds as many extreme codes as it sums."""
    (bound,) = bounds(tiny("mean", mean.Row(q=I3), {"q": (1, 5, 2)}, {"zq": -1}))
    assert (bound.lo, bound.hi) == (-15, 20)


def test_a_narrow_grid_does_not_narrow_the_bound():
    """A code that a grid leaves out counts all the same: nothing in the arithmetic keeps it from coming."""
    narrow = Affine(I3, np.float64(1), np.int64(0), narrow=True)
    (bound,) = bounds(tiny("mean", mean.Row(q=I3), {"q": (1, 5, 2)}, {"zq": 0}, grids={"q": narrow}))
    assert (bound.lo, bound.hi) == (-20, 15)


@pytest.mark.parametrize("lo, hi, bits", [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-128, 127, 8), (-129, 0, 9), (0, 128, 9),
                                          (-2 ** 31, 0, 32)])
def test_bits_of_a_bound(lo, hi, bits):
    """The signed width that an interval needs."""
    assert Bound("s", "acc", I32, lo, hi).bits == bits


@pytest.mark.parametrize("recipe", recipes.names())
@pytest.mark.parametrize("dialect", digits.SPINE)
def test_what_runs_stays_within(recipe, dialect):
    """Every register of the embedded network fits its width, or its row says what becomes of it (the sum of I-ViT's GELU
    saturates); and every code seen lies within its bound."""
    program = digits.program(recipe, dialect)
    seen, _ = digits.watched(program, digits.codes(program, 3))
    found, rows = list(bounds(program)), {step.name: step.row for step in program.steps}
    assert all(b.fits or not refuses(rows[b.step], b.register) for b in found)
    assert {type(rows[b.step]).__module__ for b in found if not b.fits} <= {"refq.ops.shiftgelu"}
    sums = [b for b in found if b.register == "acc"]
    assert {b.step for b in sums} == {s.name for s in program.steps if s.op in ("matmul", "batch_matmul", "conv2d", "mean")}
    for bound in sums:
        (values,) = seen[next(s for s in program.steps if s.name == bound.step).outputs["acc"]]
        assert (bound.lo <= values).all() and (values <= bound.hi).all()


def dense(weight, bias=None):
    def draw(s):
        x = s.add("Reshape", "images", s.ints(-1, 12))
        named = {"fc.weight": weight} | ({} if bias is None else {"fc.bias": bias})
        return s.add("Gemm", x, *(s.constant(k, np.asarray(v, float)) for k, v in named.items()), transB=1)
    return draw


def test_a_register_that_could_overflow_is_refused(tmp_path):
    """A 16-bit register under twelve 8-bit products: the sentence names step, channel, width, dialect and what would do."""
    weight = np.full((3, 12), 0.01)
    weight[2] = 1.0
    weight[:2, 1:] = 0      # each channel has a scale of its own, so only the number of weights tells them apart
    network = nets.network(tmp_path, dense(weight, [0, 0, 0]), ("n", 3, 2, 2))
    path = tmp_path / "narrow.toml"
    path.write_text('base = "tosa"\n[accumulators]\n8 = "i16"\n16 = "i48"\n')
    said = r"step fc: .*\(channel 2\), which i16 does not hold and dialect narrow forbids; 19 bits would do"
    with pytest.raises(IllFormed, match=said):
        quantize(network, nets.images(network), "int8", str(path))


def test_a_register_that_just_fits_runs(tmp_path):
    """With one product less than overflows, the same register is allowed, and right."""
    weight = np.zeros((3, 12))
    weight[:, 0] = 1
    network = nets.network(tmp_path, dense(weight), ("n", 3, 2, 2))
    path = tmp_path / "narrow.toml"
    path.write_text('base = "tosa"\nasymmetric = []\n[accumulators]\n8 = "i16"\n16 = "i48"\n')
    program = nets.near(network, dialect=str(path))
    assert program.tensors["fc.acc"].width.bits == 16 and all(b.fits for b in bounds(program))


def test_a_bias_beside_tiny_weights_is_carried(tmp_path):
    """Weights so small that their own scale has no code for the bias take a coarser one: the bias is what counts."""
    weight = np.full((3, 12), 1e-9)
    network = nets.network(tmp_path, dense(weight, [0, 1000.0, 0.3]), ("n", 3, 2, 2))
    program = quantize(network, nets.images(network))
    values = program.decode(nets.both(program, program.encode(nets.images(network)))[program.outputs[0]])
    assert np.allclose(values, [0, 1000, 0.3], atol=float(program.tensors[program.outputs[0]].grid.scale))


def test_a_bias_beside_small_weights_is_bounded(tmp_path):
    """A bias that fits by itself, but not with its products, is an overflow."""
    weight = np.full((1, 12), 1.0)
    network = nets.network(tmp_path, dense(weight, [0.0]), ("n", 3, 2, 2))
    program = quantize(network, nets.images(network), "int8", "tosa")
    full = program.constants | {"fc.bias": np.array([2 ** 31 - 1], np.int32)}
    with pytest.raises(IllFormed, match="step fc: .*channel 0.*33 bits"):
        refuse_overflow(replace(program, constants=full))


def test_a_constant_zero_channel_works(tmp_path):
    """A row of zero weights and no bias: scale 1, codes 0; with a bias, that is carried; the others as without it."""
    draw = np.random.default_rng(1)
    weight, bias = draw.standard_normal((4, 12)), draw.standard_normal(4)
    weight[2], bias[2] = 0, 0
    network = nets.network(tmp_path, dense(weight, bias), ("n", 3, 2, 2))
    program = nets.near(network, "w8a16", "tosa")
    w = program.tensors["fc.w"].grid
    assert w.scale[2] == 1 and not program.constants["fc.w"][2].any() and (w.scale[[0, 1, 3]] != 1).all()


@pytest.mark.parametrize("dialect", digits.SPINE)
def test_zero_everywhere_works(tmp_path, dialect):
    """Weights, bias and images of zero: a program whose outputs are exactly zero."""
    network = nets.network(tmp_path, dense(np.zeros((3, 12)), np.zeros(3)), ("n", 3, 2, 2))
    program = quantize(network, np.zeros((2, 3, 2, 2)), "int8", dialect)
    codes = nets.both(program, program.encode(np.zeros((2, 3, 2, 2))))[program.outputs[0]]
    assert (program.decode(codes) == 0).all()


def test_an_added_register_is_bounded():
    """16-bit operands raised by 20 bits leave 32: a dialect that asks for that is refused, naming step and register."""
    program = digits.program("int8", "tosa")
    step = next(s for s in program.steps if s.op == "add")
    raised = tuple(replace(s, row=replace(s.row, left=20)) if s is step else s for s in program.steps)
    with pytest.raises(IllFormed, match=f"step {step.name}: its register a_raised"):
        refuse_overflow(replace(program, steps=raised))
    assert {b.register for b in bounds(program) if b.step == step.name} >= {"a_raised", "b_raised", "total"}


def test_a_long_softmax_takes_the_wide_reciprocal():
    """Rows whose sum 31 bits do not hold are given the 62-bit form, and shiftmax says where that begins."""
    row = shiftmax.Row(out=I16)
    assert shiftmax.holds(row, 1 / 64, 1023) and not shiftmax.holds(row, 1 / 64, 1024)
    assert shiftmax.holds(replace(row, reciprocal=62), 1 / 64, 1 << 20)
    q = np.zeros((1, 4096), np.int8)
    shares = shiftmax.spec(q, -64, replace(row, reciprocal=62)).sum() / 2 ** 15
    assert shares <= 1 < shiftmax.spec(q, -64, row).sum() / 2 ** 15


def test_a_loaded_program_is_proved_before_it_runs():
    """A program that did not come from `quantize` is refused at its first run where a register could overflow."""
    program = digits.program("int8", "tosa")
    step = next(s for s in program.steps if s.op == "matmul")
    acc = step.inputs["bias"]
    full = program.constants | {acc: np.full_like(program.constants[acc], 2 ** 31 - 1)}
    with pytest.raises(IllFormed, match=f"step {step.name}: its register acc"):
        replace(program, constants=full).run(digits.codes(program, 1))


def test_left_shifts_that_saturate_are_defined():
    """A rescale whose left shift may leave 32 bits is refused where it wraps, and runs where its row says that it saturates."""
    for overflow in ("wrap", "saturate"):
        program = small.program()
        program.constants["fc1.rescale.shift"][:] = 3
        steps = tuple(replace(s, row=replace(s.row, overflow=overflow)) if s.op == "rescale" else s for s in program.steps)
        program = replace(program, steps=steps)
        if overflow == "wrap":
            with pytest.raises(IllFormed, match="register lifted can reach"):
                program.prove()
        else:
            program.prove()


def test_a_zero_point_taken_off_a_full_register():
    """A register of 32 bits less a zero point leaves 32 bits, though nothing is shifted to the left."""
    program = small.program()
    steps = tuple(s for s in program.steps if s.name == "fc1.rescale")
    program = replace(program, steps=steps, inputs=("fc1.acc",), outputs=("hidden",))
    program.constants["fc1.rescale.shift"][:] = 40
    program.prove()
    moved = replace(program, constants=program.constants | {"fc1.rescale.zin": np.array(1, np.int32)})
    with pytest.raises(IllFormed, match="register lifted can reach -2147483649"):
        moved.prove()
