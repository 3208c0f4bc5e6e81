"""Codes packed in one word: what comes out of a field is the sum that went in, up to the drain and not beyond it."""
from itertools import product

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.lanes import Lanes
from refq.ints.width import I32, I64, U16, U32, Width

S4, U4 = (-8, 7), (0, 15)
I48 = Width(48)
NARROW = [Lanes(U32, 2, 16, "borrow", S4, U4), Lanes(U32, 2, 16, "borrow", S4, S4), Lanes(U32, 2, 16, "bias", S4, U4),
          Lanes(I32, 2, 16, "borrow", U4, U4), Lanes(U32, 2, 16, "bias", U4, U4), Lanes(I32, 3, 10, "borrow", S4, S4),
          Lanes(U16, 2, 8, "bias", S4, U4), Lanes(U16, 2, 8, "borrow", S4, S4), Lanes(I64, 4, 16, "borrow", S4, U4),
          Lanes(I64, 8, 8, "borrow", S4, (-7, 7))]


@pytest.mark.parametrize("code,shared,sign,field,drain,guard", [
    (U4, U4, "bias", 16, 291, 8), (S4, U4, "borrow", 16, 273, 8), (S4, S4, "borrow", 16, 511, 8), (U4, U4, "bias", 8, 1, 0),
    ((-128, 127), (-128, 127), "borrow", 18, 7, 2), ((-127, 127), (-128, 127), "borrow", 16, 2, 1),
    ((-128, 127), (0, 15), "borrow", 23, 2184, 11), (S4, U4, "bias", 8, 1, 0), ((-1, 1), (0, 1), "borrow", 8, 127, 6),
    ((0, 0), U4, "borrow", 8, 1 << 62, 6)])
def test_published_drains(code, shared, sign, field, drain, guard):
    """Products before a drain are those of Agile-Quant's fields, of DSP48 packing, and of gemmlowp's int8 pairs."""
    row = Lanes(I48, 2, field, sign, code, shared)
    assert (row.drain, row.guard) == (drain, guard)
    row.admit(drain)


def sums(row, codes, shared, times):
    """What the fields hold after `times` products of the same codes (..., fields) and shared operands (...)."""
    word = row.word.wrap(row.pack(codes) * shared * times)
    return row.unpack(word, shared * times)


@pytest.mark.parametrize("row", NARROW, ids=str)
def test_every_tuple_at_the_drain(row):
    """All tuples of packed codes, of all 4-bit values or, in more than three fields, of the ends and their neighbours, times
    every shared operand: right after one product and after as many as the drain allows."""
    lo, hi = row.code
    values = range(lo, hi + 1) if row.fields < 4 else sorted({lo, lo + 1, -1, 0, hi})[:4] + [hi]
    codes = np.array(list(product(dict.fromkeys(values), repeat=row.fields)), np.int64)
    for s in range(row.shared[0], row.shared[1] + 1):
        for times in (1, row.drain):
            np.testing.assert_array_equal(sums(row, codes, np.full(len(codes), s), times), codes * s * times)


@pytest.mark.parametrize("row", NARROW, ids=str)
def test_one_product_more_is_too_many(row):
    """The drain is the largest: with one product more there are codes whose sums come out wrong."""
    ends = np.array(list(product(row.code, repeat=row.fields)), np.int64)
    wrong = 0
    for s in row.shared:
        found = sums(row, ends, np.full(len(ends), s), row.drain + 1)
        wrong += np.count_nonzero(found != ends * s * (row.drain + 1))
    assert wrong


@pytest.mark.parametrize("row", NARROW, ids=str)
def test_integers_as_arrays(row):
    """Python integers and arrays of no axis give what longer arrays give."""
    rng = np.random.default_rng(2)
    codes = rng.integers(row.code[0], row.code[1], (20, row.drain, row.fields), endpoint=True)
    shared = rng.integers(row.shared[0], row.shared[1], (20, row.drain), endpoint=True)
    words = row.word.wrap((row.pack(codes) * shared).sum(1))
    found = row.unpack(words, shared.sum(1))
    np.testing.assert_array_equal(found, (codes * shared[..., None]).sum(1))
    for i in range(20):
        word = row.word.wrap(sum(row.pack(tuple(c)) * s for c, s in zip(codes[i].tolist(), shared[i].tolist())))
        assert word == words[i] and row.unpack(word, int(shared[i].sum())) == tuple(found[i].tolist())
        assert row.unpack(words[i], shared[i].sum()).tolist() == found[i].tolist()


@pytest.mark.parametrize("arguments,words", [
    ((U32, 2, 18), "field 1 ends at bit 36, and the word u32 has 32"), ((U32, 0, 16), "at least one"),
    ((U32, 4, 8, "bias", (0, 15), (0, 31)), "field 0 overflows: 1 products of up to 465 .* u8 end at 255; take wider"),
    ((U32, 2, 16, "bias", S4, S4), "field 0 borrows from field 1: a bias makes -120"),
    ((U32, 2, 16, "borrow", (7, -8)), "code reaches from 7 to -8"), ((U32, 2, 16, "offset"), "sign is 'offset'")])
def test_unsafe_rows_are_refused(arguments, words):
    """A row in which not even one product fits is refused with the field that overflows."""
    with pytest.raises(IllFormed, match=words):
        Lanes(*arguments)


def test_too_many_products_are_refused():
    """A loop that drains one product too late is refused with both ends."""
    with pytest.raises(IllFormed, match="274 products of up to -120 make -32880, .* i16 end at -32768; drain after 273"):
        NARROW[0].admit(274)
    with pytest.raises(IllFormed, match="8 products of up to 16384 make 131072, .* i18 end at 131071; drain after 7"):
        Lanes(I48, 2, 18, "borrow", (-128, 127), (-128, 127)).admit(8)
