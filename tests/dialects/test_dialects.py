"""Every dialect: its published values, its rows, what it borrows, and its rescale against fractions from the real scale."""
import re
from fractions import Fraction
from importlib import import_module
from math import frexp, ldexp

import digits
import numpy as np
import oracle
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ops.strategies import by_kernel, by_spec

from refq import dialects, embedded, ops
from refq.dialects.base import exact
from refq.errors import IllFormed
from refq.graph.calibrate import grid
from refq.ints import rounding
from refq.ints.width import I8, I32, I48

NAMES = dialects.names()
PLAYED = {"matmul", "batch_matmul", "conv2d", "mean", "clip", "arrange", "argmax", "rescale", "rescale_wide", "add",
          "add_wide", "softmax", "softmax_wide", "gelu", "gelu_wide", "layernorm", "table"}


def each(of):
    return pytest.mark.parametrize("name, key", [(n, k) for n in NAMES for k in of(dialects.load(n))])


def declared(row, operands):
    """Operands as the operation takes them: arrays of the declared dtype, scalars as numbers."""
    return {k: np.array(operands[k], d.width.dtype) if d.names else operands[k] for k, d in row.takes.items()}


def test_all_are_there():
    """A loop over no dialects proves nothing."""
    assert set(NAMES) >= {
        "cmsis_nn", "cmsis_nn_single", "dpu", "ethosu_natural", "ethosu_tfl", "ethosu_truncate", "fbgemm", "gemmini", "glow",
        "ibert", "ivit", "ivit_tvm", "nvdla", "onednn", "onnx", "onnx_reference", "ort_avx2", "ort_x86", "pulp", "qnnpack",
        "qnnpack_precise", "tflite", "tflite_single", "tflite_xnnpack", "torch_x86", "tosa", "tosa_double", "tvm", "vta",
        "xnnpack_rndnu"}
    assert all(dialects.load(n).name == n and len(dialects.load(n).checks) >= 2 for n in NAMES)


@each(lambda d: range(len(d.checks)))
def test_published_values(name, key):
    """Spec and kernel give the published value, under a row that the dialect uses."""
    dialect = dialects.load(name)
    check = dialect.checks[key]
    assert any((part.op, part.row) == (check.op, check.row) for part in dialect.roles.values())
    operands = declared(check.row, check.operands)
    for run in (by_spec, by_kernel):
        (result,) = run(check.op, check.row)(operands).values()
        assert result.tolist() == check.result
    assert check.source


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name):
    """Docstring, title, source and date are there, and the docstring's first line names the target."""
    module, dialect = import_module(f"refq.dialects.{name}"), dialects.load(name)
    assert module.__doc__.splitlines()[0].endswith(".") and dialect.title and dialect.source
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", dialect.date)


@pytest.mark.parametrize("name", NAMES)
def test_plays_every_role(name):
    """No role that lowering asks for is missing, and asking for another one is a sentence."""
    dialect = dialects.load(name)
    assert set(dialect.roles) >= PLAYED
    with pytest.raises(IllFormed, match=f"dialect {name} has no operation for frobnicate"):
        dialect.role("frobnicate")


@each(lambda d: d.roles)
def test_rows_are_rows_of_their_operation(name, key):
    """A role's row is one of its operation, and its operands can be declared."""
    part = dialects.load(name).roles[key]
    assert type(part.row) is ops.load(part.op).Row
    assert part.row.takes and part.row.gives


@each(lambda d: [k for k, part in d.roles.items() if part.borrowed])
def test_borrowed_roles_are_their_owners(name, key):
    """The dialect that a role is borrowed from owns it, with the same operation and row; refq's own readings are the same
    in all."""
    part = dialects.load(name).roles[key]
    if part.borrowed == "refq":
        assert exact[key] == part
        return
    assert part.borrowed in NAMES and part.borrowed != name
    owner = dialects.load(part.borrowed).roles[key]
    assert owner.borrowed is None and (owner.op, owner.row) == (part.op, part.row)


def test_what_is_not_the_targets_own_is_borrowed():
    """TFLite and TOSA have no integer normalization, ONNX no softmax either: they come from I-ViT, which borrows none."""
    for name in ("tflite", "tosa", "onnx"):
        roles = dialects.load(name).roles
        lacking = ("softmax", "softmax_wide", "layernorm") if name == "onnx" else ("layernorm",)
        assert {roles[r].borrowed for r in lacking} == {"ivit"}
        assert roles["rescale"].borrowed is roles["add"].borrowed is None
    assert {part.borrowed for k, part in dialects.load("ivit").roles.items() if k != "l2_norm"} == {None, "refq"}


@pytest.mark.parametrize("name", NAMES)
def test_grids_and_registers(name):
    """Bits, roundings and accumulators fit together: every allowed activation has a register, every register a rescale."""
    dialect = dialects.load(name)
    assert set(dialect.asymmetric) <= set(dialect.activations) and dialect.encode in rounding.names
    for bits in dialect.activations:
        register = dialect.accumulator(bits)
        part = dialect.roles["rescale" if register.bits <= 32 else "rescale_wide"]
        assert type(part.row)(**{**vars(part.row), "acc": register}).takes["acc"].width == register
        made = grid((-1.0, 3.0), bits, dialect)
        assert (int(made.zero) != 0) == (bits in dialect.asymmetric)
        assert dialect.scales == "any" or np.frexp(made.scale)[0] == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_runs_the_embedded_network(name):
    """Under int8: kernels equal specs on two images, all weights and activations lie on grids that the target can hold, and the
    class is right (the two are easy ones)."""
    program, dialect = digits.program("int8", name), dialects.load(name)
    codes = digits.codes(program, 2)
    fast, slow = program.run(codes), program.run(codes, engine="spec")
    assert all(np.array_equal(fast[k], slow[k]) for k in program.outputs)
    assert program.decode(fast[program.outputs[0]]).argmax(1).tolist() == embedded.labels()[:2].tolist()
    held = [t for t in program.tensors.values() if t.grid is not None and t.role not in ("accumulator", "bias")]
    held = [t for t in held if hasattr(t.grid, "scale")]                # powers of two, and such, have levels
    assert held and all((np.frexp(t.grid.scale)[0] == 0.5).all() or dialect.scales == "any" for t in held)
    assert all(int(t.grid.zero) == 0 for t in held if t.grid.zero.ndim == 0 and t.width.bits not in dialect.asymmetric)


@pytest.mark.parametrize("name, said", [("tosa_inexact", "bounds the error.*tosa_double"), ("qnn", "not published"),
                                        ("hailo", "not published")])
def test_targets_without_a_result(name, said):
    """What has no result to the bit, or none that is published, is refused with a sentence that says what there is."""
    with pytest.raises(IllFormed, match=said) as refused:
        dialects.load(name)
    assert "\n" not in str(refused.value) and ".toml" in str(refused.value)


@pytest.mark.parametrize("word, said", [("tosaa", "did you mean tosa"), ("tflight", "did you mean tflite"), ("xyz", "there are"),
                                        ("base", "no dialect"), ("custom", "no dialect"), ("", "no dialect")])
def test_unknown_names(word, said):
    """A name that is not known is refused with the nearest, or with all, and with the way to a file."""
    with pytest.raises(IllFormed, match=said) as refused:
        dialects.load(word)
    assert ".toml" in str(refused.value) and "\n" not in str(refused.value)


def q31(scale):
    """(mult, shift) of the definition: 31 bits of mantissa, half up, a carry halves it; below 2**-32 nothing is left."""
    mantissa, exponent = frexp(scale)
    mult = oracle.roundings["half_up"](Fraction(mantissa) * 2 ** 31)
    if mult == 2 ** 31:
        mult, exponent = mult // 2, exponent + 1
    return (mult, 31 - exponent) if exponent >= -31 else (0, 31)


def q15(scale):
    mult, shift = q31(scale)
    return (min(oracle.shifted("half_up", mult, 16), 2 ** 15 - 1), shift - 16) if mult else (0, 15)


def single(form, ties):
    return lambda acc, scale, zp: oracle.rescaled(acc, *form(scale), zp, ties)


def double(acc, scale, zp):
    return oracle.rescaled_twice(acc, *q31(scale), zp, "half_up", "half_away")


def float32(acc, scale, zp):
    product = oracle.float32_of(oracle.float32_of(Fraction(acc)) * Fraction(float(np.float32(scale))))
    return oracle.saturated(zp + oracle.roundings["half_even"](product), 8)


MEANT = {
    ("tflite", "rescale"): double, ("tflite", "rescale_wide"): single(q15, "half_up"),
    ("tosa", "rescale"): single(q31, "half_up"), ("tosa", "rescale_wide"): single(q15, "half_up"),
    ("onnx", "rescale"): float32, ("onnx", "rescale_wide"): float32,
    ("ivit", "rescale"): single(q31, "half_even"), ("ivit", "rescale_wide"): single(q15, "half_even"),
}

plain = st.sampled_from((0.5, 0.75, 0.625, 1 - 2.0 ** -53, 1 - 2.0 ** -33, 0.5 + 2.0 ** -31))
scales = st.builds(ldexp, plain | st.floats(0.5, 1, exclude_max=True), st.integers(-29, 6))


@pytest.mark.parametrize("name, role", sorted(MEANT))
@settings(max_examples=25)
@example(drawn=[0.5, 0.25, 2.0 ** -20], zp=0, seed=0)
@given(drawn=st.lists(scales, min_size=1, max_size=3), zp=st.integers(-128, 127), seed=st.integers(0, 2 ** 32 - 1))
def test_rescale_from_the_real_scale(name, role, drawn, zp, seed):
    """From a real scale to the code: spec and kernel are what fractions say, at ties, at both rails and anywhere."""
    part = dialects.load(name).roles[role]
    register = I32 if role == "rescale" else I48
    row = type(part.row)(**{**vars(part.row), "acc": register, "out": I8})
    draw = np.random.default_rng(seed)
    rows = [[register.lo, register.lo + 1, -1, 0, 1, register.hi - 1, register.hi][i % 7] for i in range(7)]
    acc = [[a] * len(drawn) for a in rows]
    for k in draw.integers(-130, 131, 8):       # on a tie where the scale is a power of two, beside one where it is not
        middle = [oracle.roundings["half_even"](Fraction(2 * int(k) + 1, 2) / Fraction(s)) for s in drawn]
        acc += [[oracle.saturated(m + d, register.bits) for m in middle] for d in (-1, 0, 1)]
    acc += draw.integers(register.lo >> 16, register.hi >> 16, (6, len(drawn)), endpoint=True).tolist()
    built = ops.load(part.op).build(row, factors=(np.array(drawn),), unit=1.0, zin=0, zp=zp)
    operands = declared(row, {"acc": acc, **built})
    expected = [[MEANT[name, role](a, s, zp) for a, s in zip(line, drawn)] for line in acc]
    for run in (by_spec, by_kernel):
        assert run(part.op, row)(operands)["y"].tolist() == expected


@pytest.mark.parametrize("name", [n for n in NAMES if "half" in dialects.load(n).roles["rescale"].row.ties])
def test_a_scale_below_any_half_gives_the_zero_point(name):
    """A scale under which the largest register stays below a half gives the zero point everywhere."""
    part = dialects.load(name).roles["rescale"]
    operands = declared(part.row, {"acc": [[I32.lo], [I32.hi]],
                                   **ops.load(part.op).build(part.row, factors=(2.0 ** -33,), unit=1.0, zin=0, zp=7)})
    assert by_kernel(part.op, part.row)(operands)["y"].tolist() == [[7], [7]]
