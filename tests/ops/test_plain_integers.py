"""elementwise, cast, reduce and gather against Python integers; 8-bit operands in full."""
from fractions import Fraction
from math import prod

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import elementwise as words
from refq.ints.width import I4, I8, I16, I32, I48, U1, U8, U32, Width
from refq.ops import cast, elementwise, gather, reduce
from tests import oracle
from tests.ops.strategies import by_kernel, by_spec, operands_of, rails, uniform


def bits(x, width):
    """The bits of x, the highest first, as text."""
    return format(x % 2 ** width.bits, f"0{width.bits}b")


def number(text, width):
    return oracle.wrapped(int(text, 2), width.bits, width.signed)


MEANT = {
    "add": lambda a, b, w, ties: a + b, "sub": lambda a, b, w, ties: a - b, "mul": lambda a, b, w, ties: a * b,
    "min": lambda a, b, w, ties: sorted((a, b))[0], "max": lambda a, b, w, ties: sorted((a, b))[1],
    "and": lambda a, b, w, ties: number("".join("01"[x == y == "1"] for x, y in zip(bits(a, w), bits(b, w))), w),
    "or": lambda a, b, w, ties: number("".join("01"["1" in (x, y)] for x, y in zip(bits(a, w), bits(b, w))), w),
    "xor": lambda a, b, w, ties: number("".join("01"[x != y] for x, y in zip(bits(a, w), bits(b, w))), w),
    "equal": lambda a, b, w, ties: int(not a - b), "greater": lambda a, b, w, ties: int(a - b >= 1),
    "greater_equal": lambda a, b, w, ties: int(b - a < 1),
    "divide": lambda a, b, w, ties: oracle.roundings[ties](Fraction(a, b)),
    "shift_right": lambda a, b, w, ties: oracle.shifted(ties, a, b),
    "shift_left": lambda a, b, w, ties: number((bits(a, w) + "0" * b)[b:], w),
    "shift_logical": lambda a, b, w, ties: number(("0" * b + bits(a, w))[:w.bits], w),
    "not": lambda a, w, ties: number(bits(a, w).translate({48: 49, 49: 48}), w),
    "negate": lambda a, w, ties: 0 - a, "abs": lambda a, w, ties: max(a, 0 - a),
    "clz": lambda a, w, ties: len(bits(a, w)) - len(bits(a, w).lstrip("0")),
    "mul_shift": lambda a, b, s, w, ties: oracle.shifted(ties, a * b, s),
    "select": lambda c, a, b, w, ties: a if c else b,
}


def stored(x, row):
    return (oracle.wrapped if row.overflow == "wrap" else oracle.saturated)(x, row.y.bits, row.y.signed)


def drawn(row, count, style=uniform):
    return operands_of(row, {"n": count}, np.random.default_rng(7), lambda: style)


def every_pair(row):
    """All pairs that 8-bit operands can be."""
    a, b = (np.arange(d.lo, d.hi + 1) for d in row.takes.values())
    first, second = np.meshgrid(a, b)
    return {"a": first.ravel().astype(row.a.dtype), "b": second.ravel().astype(row.b.dtype)}


def meant(row, operands):
    every = [np.broadcast_to(o, operands["a"].shape).tolist() for o in operands.values()]
    return [stored(MEANT[row.word](*codes, row.a, row.ties), row) for codes in zip(*every)]


@pytest.mark.parametrize("word", words.names)
@pytest.mark.parametrize("a", [I8, U8, I16, I32, I48, U32])
def test_words_are_what_they_mean(word, a):
    """Each word on codes of every width, wrapped or saturated, with any rounding; kernels at two widths."""
    if word in ("mul", "mul_shift") and a in (I48, U32):
        return
    for overflow, ties, style in (("wrap", "half_up", uniform), ("saturate", "trunc", rails), ("saturate", "floor", uniform)):
        row = elementwise.Row(word=word, a=a, b=a, y=I32 if a.bits < 32 else a, overflow=overflow, ties=ties)
        operands = drawn(row, 300, style)
        if word == "divide":
            operands["b"][operands["b"] == 0] = 1
        for by in (by_spec, by_kernel) if a in (I32, U8) and ties != "floor" else (by_spec,):
            assert by("elementwise", row)(operands)["y"].tolist() == meant(row, operands)


@pytest.mark.parametrize("word", ["add", "sub", "mul", "xor", "min", "shift_right", "shift_left", "shift_logical"])
def test_all_pairs_of_8_bits(word):
    """Every pair of i8, into i8."""
    row = elementwise.Row(word=word, a=I8, b=I8, y=I8, overflow="saturate")
    operands = every_pair(row)
    for by in (by_spec, by_kernel):
        assert by("elementwise", row)(operands)["y"].tolist() == meant(row, operands)


def test_words_on_one_bit_are_logical():
    """not, and, or, xor of truth values; not of an unsigned code is its complement."""
    for word, answer in (("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("xor", [0, 1, 1, 0])):
        row = elementwise.Row(word=word, a=U1, b=U1, y=U1)
        assert by_kernel("elementwise", row)(every_pair(row))["y"].tolist() == answer
    row = elementwise.Row(word="not", a=U1, y=U1)
    assert by_kernel("elementwise", row)({"a": np.array([0, 1], np.uint8)})["y"].tolist() == [1, 0]


@pytest.mark.parametrize("by", [by_spec, by_kernel])
def test_what_a_row_refuses_is_refused(by):
    """A sum, a negation, a division that leaves the result's width, and a division by 0."""
    for word, a, b in (("add", 127, 1), ("negate", -128, None), ("divide", -128, -1), ("mul", 16, 8), ("abs", -128, None)):
        row = elementwise.Row(word=word, a=I8, b=I8, y=I8, overflow="refuse", ties="trunc")
        operands = {"a": np.array([3, a], np.int8)} | ({} if b is None else {"b": np.array([3, b], np.int8)})
        with pytest.raises(IllFormed, match="i8"):
            by("elementwise", row)(operands)
    with pytest.raises(IllFormed, match="division by 0"):
        by("elementwise", elementwise.Row(word="divide"))({"a": np.ones(2, np.int32), "b": np.arange(2, dtype=np.int32)})


def test_tosa_shifts_and_products():
    """TOSA's published forms: MUL with a shift adds half and floors, ARITHMETIC_RIGHT_SHIFT adds the last bit that it drops."""
    row = elementwise.Row(word="mul_shift")
    given = {"a": np.array([3, -3, 5, -5], np.int32), "b": np.ones(4, np.int32), "s": 1}
    assert by_kernel("elementwise", row)(given)["y"].tolist() == [2, -1, 3, -2]
    row = elementwise.Row(word="shift_right")
    assert by_kernel("elementwise", row)({"a": given["a"], "b": given["b"]})["y"].tolist() == [2, -1, 3, -2]


@pytest.mark.parametrize("fields, said", [({"word": "power"}, "there are add"), ({"word": "mul", "a": I48}, "64 bits"),
                                          ({"a": Width(50)}, "at most 48")])
def test_impossible_words_are_refused(fields, said):
    """A word that there is not, and widths that leave 64 bits."""
    with pytest.raises(IllFormed, match=said):
        elementwise.Row(**fields)


@pytest.mark.parametrize("x, y", [(I8, U8), (I16, I8), (U8, I4), (I32, I8), (I48, I32), (I4, I16), (U1, I32), (I16, U1)])
def test_casts_of_every_code(x, y):
    """Every code of up to 16 bits, and the rails of wider ones."""
    codes = np.arange(x.lo, x.hi + 1) if x.bits <= 16 else np.random.default_rng(0).integers(x.lo, x.hi, 999, endpoint=True)
    codes = np.append(codes, [x.lo, x.hi]).astype(x.dtype)
    for store, of in (("wrap", oracle.wrapped), ("clip", oracle.saturated), ("nonzero", lambda v, *_: int(v != 0))):
        row = cast.Row(store=store, x=x, y=y)
        for by in (by_spec, by_kernel):
            assert by("cast", row)({"x": codes})["y"].tolist() == [of(v, y.bits, y.signed) for v in codes.tolist()]


def conjunction(values, ones):
    return next((0 for v in values if not v), ones)


@pytest.mark.parametrize("word, of, width", [("sum", sum, I32), ("product", prod, I32), ("max", max, I16), ("min", min, I8),
                                             ("any", lambda q: int(sum(q) > 0), U1), ("all", lambda q: conjunction(q, 1), U1)])
def test_reductions_of_python_integers(word, of, width):
    """Along an axis of 1, 2, 7 and 40 places; what 32 bits do not hold wraps."""
    row = reduce.Row(word=word, q=width, y=width)
    for r in (1, 2, 7, 40):
        operands = operands_of(row, {"n": 3, "r": r, "c": 5}, np.random.default_rng(r), lambda: uniform)
        expected = [[oracle.wrapped(of(image[:, c].tolist()), width.bits, width.signed) for c in range(5)]
                    for image in operands["q"]]
        for by in (by_spec, by_kernel):
            assert by("reduce", row)(operands)["y"].tolist() == expected


def test_reductions_of_nothing():
    """0, 1, 0 and 1; there is no largest of none."""
    empty = {"q": np.empty((2, 0, 3), np.uint8)}
    for word, neutral in (("sum", 0), ("product", 1), ("any", 0), ("all", 1)):
        row = reduce.Row(word=word, q=U1, y=U1)
        for by in (by_spec, by_kernel):
            assert by("reduce", row)(empty)["y"].tolist() == [[neutral] * 3] * 2
    with pytest.raises(IllFormed, match="empty"):
        reduce.Row(word="max").sizes({"n": 1, "r": 0, "c": 1})


@pytest.mark.parametrize("by", [by_spec, by_kernel])
def test_saturated_sums_have_an_order(by):
    """100 + 100 - 100 is 27 where every partial sum is held within 8 bits; and is refused where that is said."""
    q = {"q": np.array([100, 100, -100], np.int8).reshape(1, 3, 1)}
    assert by("reduce", reduce.Row(q=I8, y=I8, overflow="saturate"))(q)["y"].item() == 27
    assert by("reduce", reduce.Row(q=I8, y=I8))(q)["y"].item() == 100
    with pytest.raises(IllFormed, match="leaves i8|refuses what leaves"):
        by("reduce", reduce.Row(q=I8, y=I8, overflow="refuse"))(q)


@pytest.mark.parametrize("negative", ["refuse", "from_end"])
def test_gather_looks_places_up(negative):
    """Each image by its own places, the negative ones from the end; others lie outside the declared range."""
    row = gather.Row(negative=negative, places=6, width=I16)
    operands = operands_of(row, {"n": 4, "r": 6, "w": 9, "c": 3}, np.random.default_rng(0), lambda: uniform)
    expected = [[image[place].tolist() for place in places] for image, places in zip(operands["x"], operands["i"].tolist())]
    for by in (by_spec, by_kernel):
        assert by("gather", row)(operands)["y"].tolist() == expected
    assert (row.takes["i"].lo, row.takes["i"].hi) == (-6 if negative == "from_end" else 0, 5)
    with pytest.raises(IllFormed, match="6"):
        row.sizes({"n": 1, "r": 5, "w": 1, "c": 1})
