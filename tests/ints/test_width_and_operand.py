"""Widths hold what they say; operands are checked at the door."""
import warnings

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import width as widths
from refq.ints.operand import F32, Operand, check, sizes
from refq.ints.registers import wrapping
from refq.ints.width import I4, I8, I32, I40, I64, U1, U4, U8, U32, Width, width
from tests import oracle
from tests.ints.compiled import compiled

EVERY = [Width(bits, signed) for signed in (True, False) for bits in range(1 + signed, 64 + signed)]
NUMBERS = sorted({sign * (2 ** bit + d) for bit in range(63) for d in (-1, 0, 1) for sign in (-1, 1)} | {-(2 ** 63)})


@pytest.mark.parametrize("w", EVERY, ids=str)
def test_a_width_saturates_and_wraps_as_two_s_complement_does(w):
    """Python integers, arrays and jitted registers, for every width that there is."""
    array = np.array(NUMBERS, np.int64)
    kept = [oracle.wrapped(x, w.bits, w.signed) for x in NUMBERS]
    near = [oracle.saturated(x, w.bits, w.signed) for x in NUMBERS]
    assert [w.wrap(x) for x in NUMBERS] == w.wrap(array).tolist() == kept
    assert [w.clip(x) for x in NUMBERS] == w.clip(array).tolist() == near
    assert all(x in w for x in kept + near) and w.lo - 1 not in w and w.hi + 1 not in w
    assert np.iinfo(w.dtype).min <= w.lo and w.hi <= np.iinfo(w.dtype).max
    assert width(str(w)) == w
    if w in (I4, I8, I40, I64, U1, U32):
        assert compiled(wrapping(w), array).tolist() == kept


def test_small_numpy_integers_are_widened_first():
    """No dtype overflows, warns or changes the result: scalars and arrays of every integer kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.bool_):
            for value in (dtype(1), np.array([0, 1], dtype), np.array(1, dtype)):
                for w in (I4, U8, I40, I64):
                    for result in (w.clip(value), w.wrap(value)):
                        assert result.dtype == np.int64 and np.array_equal(result, np.asarray(value).astype(np.int64))
    assert I8.wrap(np.uint8(200)) == -56 and I8.clip(np.uint8(200)) == 127 and U4.wrap(np.int8(-1)) == 15


def test_floats_and_uint64_are_not_taken_for_registers():
    """They would lose bits without a word."""
    for value in (np.array([0.5]), np.float64(1), np.array([1], np.uint64)):
        for act in (I8.clip, I8.wrap):
            with pytest.raises(TypeError):
                act(value)


@pytest.mark.parametrize("bits, signed", [(0, True), (1, True), (65, True), (0, False), (64, False), (-3, True)])
def test_an_impossible_width_is_refused(bits, signed):
    """One bit cannot hold a sign; 64 unsigned bits do not fit an int64."""
    with pytest.raises(IllFormed, match="widths have"):
        Width(bits, signed)


@pytest.mark.parametrize("text", ["", "8", "i", "u-4", "i8 ", "f32", "i99", "int8"])
def test_a_width_s_name_is_read_strictly(text):
    """i or u and a number."""
    with pytest.raises(IllFormed):
        width(text)


def test_codes_of_a_width_are_never_uint64():
    """uint64 and int64 mix to float64."""
    assert {str(w.dtype) for w in EVERY} == {"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"}
    assert widths.U16.dtype == np.uint16 and Width(40, False).dtype == np.int64


def test_an_operand_reads_its_axes_from_text():
    """Names, the ones read whole, and a range that defaults to the width's."""
    x = I8("n [c]", -127, 127)
    assert (x.names, x.whole, x.lo, x.hi) == (("n", "c"), {"c"}, -127, 127)
    assert (U8().names, U8().lo, U8().hi) == ((), 0, 255)
    assert x == Operand(I8, "n [c]", -127, 127) and hash(x) == hash(I8("n [c]", -127, 127)) and x != I8("n [c]")


@pytest.mark.parametrize("shape, seen", [((2, 3, 4), (6, 4)), ((5, 4), (5, 4)), ((2, 0, 4), (0, 4)),
                                         ((0, 3, 0), (0, 0)), ((1, 1, 1, 0), (1, 0)), ((4,), (4,))])
def test_leading_axes_join_into_n(shape, seen):
    """Empty arrays too; fewer axes stay as they are, for the door to refuse."""
    assert I8("n c").view(np.zeros(shape, np.int8)).shape == seen


def test_axes_agree_among_operands_or_are_refused():
    """With the axis and both sizes."""
    takes = {"x": I8("n [k]"), "w": I8("m [k]"), "z": I8()}
    x, w, z = np.zeros((2, 3), np.int8), np.zeros((4, 3), np.int8), np.zeros((), np.int8)
    assert sizes(takes, {"x": x, "w": w, "z": z}, "fc") == {"n": 2, "k": 3, "m": 4}
    with pytest.raises(IllFormed, match="fc: axis k is 3 elsewhere and 4 in w"):
        sizes(takes, {"x": x, "w": w.T.copy(), "z": z}, "fc")
    with pytest.raises(IllFormed, match="fc: z has 1 axes"):
        sizes(takes, {"x": x, "w": w, "z": np.zeros(1, np.int8)}, "fc")


def test_dtype_and_range_are_checked_by_name():
    """Both ends are in; NaN is outside every range; an empty array is inside."""
    takes = {"x": I8("n", -127, 127), "s": F32("n", 0.0, 1.0)}
    x, s = np.array([-127, 127], np.int8), np.array([0, 1], np.float32)
    check(takes, {"x": x, "s": s}, "step")
    check(takes, {"x": x[:0], "s": s[:0]}, "step")
    for bad in ({"x": x.astype(np.int16), "s": s}, {"x": np.array([-128], np.int8), "s": s},
                {"x": x, "s": np.array([np.nan], np.float32)}, {"x": x, "s": np.array([np.inf], np.float32)},
                {"x": x, "s": s.astype(np.float64)}):
        with pytest.raises(IllFormed, match="step: [xs] "):
            check(takes, bad, "step")
    assert str(F32) == "f32" and str(I32) == "i32"
