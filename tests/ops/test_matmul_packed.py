"""Products in packed words: what comes out is the plain product, over all operands, or what the hardware makes instead of it."""
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.ints import fields
from refq.ints.sites import Sites
from refq.ints.width import I4, I48, U4, U8, Width
from refq.machine import packed
from refq.ops import matmul_dsp48, matmul_packed, matmul_ulppack
from refq.vectors.scoring.equivalent import packed as equivalent
from tests import oracle_packed as oracle
from tests.ops.strategies import by_kernel, by_spec

PACKED, PAIRS, FOURS = matmul_packed.PUBLISHED, matmul_ulppack.PUBLISHED, matmul_dsp48.PUBLISHED
NARROW = [name for name, row in PACKED.items() if row.x.bits <= 4]
WIDE = [name for name in PACKED if name not in NARROW]
TYPE1 = ((8, 8, 8, 8, 4, 2, 1), (8, 8, 4, 2, 1, 0, 0), (8, 4, 2, 1, 0, 0, 0), (8, 2, 1, 0, 0, 0, 0), (4, 1, 0, 0, 0, 0, 0),
         (2, 0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0, 0))
TYPE2 = ((8, 8, 8, 8, 8, 8, 2), (8, 8, 8, 8, 8, 2, 0), (8, 8, 8, 8, 4, 1, 0), (8, 8, 8, 8, 2, 0, 0), (8, 8, 4, 2, 1, 0, 0),
         (8, 2, 1, 0, 0, 0, 0), (2, 0, 0, 0, 0, 0, 0))


def codes(declared):
    return np.arange(declared.lo, declared.hi + 1)


def plain(row, x, w):
    """(spec, kernel) of codes without zero points and bias; x (n k) or (n r k), w (m k)."""
    takes, m = row.takes, len(w)
    x, w = np.ascontiguousarray(x, takes["x"].width.dtype), np.ascontiguousarray(w, takes["w"].width.dtype)
    module = ops.load(type(row).__module__.rpartition(".")[2])
    given = {"x": x, "w": w, "bias": np.zeros(m, takes["bias"].width.dtype), "zx": 0, "zw": np.zeros(m, takes["zw"].width.dtype)}
    return module.spec(*given.values(), row=row), by_kernel(module.__name__.rpartition(".")[2], row)(given)["acc"]


def drawn(rng, declared, shape, ends):
    some = rng.integers(declared.lo, declared.hi, shape, endpoint=True)
    rails = rng.choice([declared.lo, declared.hi], (*shape[:-1], 1)) if shape else declared.hi
    return np.where(ends, rails, some)


@pytest.mark.parametrize("name", NARROW)
def test_every_word_and_activation(name):
    """Every tuple of weights in a word (of two: 256; of four: 65536) times every activation."""
    row = PACKED[name]
    w = np.array(list(product(codes(row.takes["w"]), repeat=row.fields))).reshape(-1, 1)
    x = codes(row.takes["x"])[:, None]
    for made in plain(row, x, w):
        np.testing.assert_array_equal(made, x * w.T)


@pytest.mark.parametrize("name", WIDE)
def test_every_triple_of_8_bits(name):
    """All pairs of weights times all activations, in the kernel; the spec meets the ends of the activations."""
    row = PACKED[name]
    values = codes(row.takes["w"])
    w = np.stack(np.meshgrid(values, values, indexing="ij"), -1).reshape(-1, 1)
    x = codes(row.takes["x"])[:, None]
    step = 32
    for first in range(0, len(x), step):
        given = {"x": np.ascontiguousarray(x[first:first + step], row.x.dtype), "w": np.ascontiguousarray(w, row.w.dtype),
                 "bias": np.zeros(len(w), np.int32), "zx": 0, "zw": np.zeros(len(w), row.w.dtype)}
        truth = x[first:first + step].astype(np.int32) * w.T.astype(np.int32)
        assert (by_kernel("matmul_packed", row)(given)["acc"] == truth).all()
    ends = x[[0, 1, 127, 128, -1]]
    np.testing.assert_array_equal(plain(row, ends, w)[0], ends * w.T)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("ends", [False, True])
def test_oracle_of_words(name, ends):
    """Zero points, a bias, rows that do not fill a word, more columns than a drain: as unbounded integers make it."""
    row, rng = PACKED[name], np.random.default_rng(ends)
    takes, lanes = row.takes, row.lanes
    for n, m, k in ((2, 3, 1), (1, 5, 2), (2, 2, 33), (1, 7, min(row.summed.drain + 3, 700)), (2, 1, 0)):
        x, w = drawn(rng, takes["x"], (n, k), ends), drawn(rng, takes["w"], (m, k), ends)
        bias, zw = rng.integers(-10 ** 6, 10 ** 6, m), drawn(rng, takes["zw"], (m,), False)
        zx = int(drawn(rng, takes["x"], (), False))
        given = {"x": np.ascontiguousarray(x, row.x.dtype), "w": np.ascontiguousarray(w, row.w.dtype),
                 "bias": bias.astype(np.int32), "zx": zx, "zw": zw.astype(row.w.dtype)}
        expected = np.empty((n, m), np.int64)
        for i in range(n):
            for first in range(0, m, row.fields):
                rows = [w[first + f].tolist() if first + f < m else [0] * k for f in range(row.fields)]
                sums = oracle.lanes(rows, x[i].tolist(), row.drain, lanes.offset, row.apart, row.spread, row.sign == "borrow")
                for j, total in zip(range(first, min(first + row.fields, m)), sums):
                    expected[i, j] = oracle.matmul(total, x[i].tolist(), w[j].tolist(), int(bias[j]), zx, int(zw[j]))
        np.testing.assert_array_equal(expected, (x - zx) @ (w - zw[:, None]).T + bias)
        np.testing.assert_array_equal(matmul_packed.spec(*given.values(), row=row), expected)
        np.testing.assert_array_equal(by_kernel("matmul_packed", row)(given)["acc"], expected)


@pytest.mark.parametrize("name", [name for name, row in PACKED.items() if row.summed.drain < 5000])
def test_the_drain_at_its_corner(name):
    """With as many products as fit, every field at either end of its codes or at 0, all sums are right, in the spec and in the
    kernel's loop; with one more some are wrong; and a row that says so is refused, with the field that overflows."""
    row = PACKED[name]
    fits = row.summed.drain
    full = replace(row, drain=fits)
    narrow, add = packed.container(row.word).type, packed.adding(packed.form(row.lanes), packed.form(row.summed))
    wrong = 0
    for *word, x in product(*[(*row.lanes.code, 0)] * row.fields, row.lanes.shared):
        for products, late in ((fits, False), (fits + 1, True)):
            weights, shared = np.repeat(np.array(word)[:, None], products, 1), np.full((1, products), x)
            words, total = np.empty((1, products), narrow), np.empty((1, row.fields), np.int64)
            packed.pack(weights.astype(row.w.dtype), row.fields, row.apart, row.lanes.offset, words)
            add(words, shared.astype(narrow), products, total)
            made = matmul_packed.lanes_of(shared, weights, full, drain=products)[0]
            np.testing.assert_array_equal(total[0] - row.lanes.offset * products * x, made)
            if late:
                wrong += bool((made != weights.sum(1) * x).any())
            else:
                np.testing.assert_array_equal(made, weights.sum(1) * x)
    assert wrong
    with pytest.raises(IllFormed, match=f"field 0 overflows: {fits + 1} products .*; drain after {fits}$"):
        replace(row, drain=fits + 1)


@pytest.mark.parametrize("name,fits", [("agile_quant_u4", 291), ("agile_quant_s4u4_borrow", 273), ("agile_quant_s4s4", 511),
                                       ("dsp48_int8x2", 7), ("dsp48_w4a8", 4681), ("int8_in_32", 1)])
def test_drains_that_fit(name, fits):
    """Published ones are at most what is exact: 256 of 291, 273 and 511, 7 of 7, and 4096 of 4681."""
    assert PACKED[name].summed.drain == fits >= PACKED[name].drain


@pytest.mark.parametrize("change,words", [
    ({"narrow": False}, "field 0 overflows: 4096 products of up to 1024 make 4194304, .* i23 end at 4194303; drain after 4095"),
    ({"narrow": False, "drain": 4095}, "field 1 overflows the operand of the multiplier: .* from -67108872 .* 27 bits"),
    ({"apart": 10, "spread": 10, "drain": 1}, "field 0 overflows: 1 products of up to 896 make 896, and 10 bits"),
    ({"drain": 0}, "drained after 0 products"), ({"spread": 22}, "spread to 22"), ({"fields": 3}, "field 2 ends at bit 69"),
    ({"sign": "bias"}, "field 0 borrows from field 1"), ({"sign": "offset"}, "sign is 'offset'")])
def test_unsafe_words_are_refused(change, words):
    """A published 4096 accumulations of 4-bit weights and 8-bit activations are one too many at -8 * -128."""
    with pytest.raises(IllFormed, match=words):
        replace(PACKED["dsp48_w4a8"], **change)


@pytest.mark.parametrize("kind,table", [(1, TYPE1), (2, TYPE2)])
def test_both_tables_of_ulppack(kind, table):
    """Every published drain, and what has none is refused with the field that overflows."""
    for w, x in product(range(1, 8), repeat=2):
        drain = table[w - 1][x - 1]
        assert matmul_ulppack.drain_of(w, x, kind) == drain
        if drain:
            assert matmul_ulppack.published(w, x, kind).drain == drain
        else:
            with pytest.raises(IllFormed, match="the (low|middle) field overflows: 1 products .* take wider fields"):
                matmul_ulppack.published(w, x, kind)
    assert fields.drain_of(matmul_ulppack.published(4, 4, 2).parts) == 9


@pytest.mark.parametrize("change,words", [
    ({"drain": 10}, "the middle field overflows: 10 products of up to 450 make 4500, .* end at 4095; drain after 9"),
    ({"block": 8192}, "the sum of middle fields overflows: 8192 codes make"), ({"taken": "shifted"}, "has nothing above it"),
    ({"x": I4}, "codes have no sign"), ({"block": 8}, "a block holds a drain of pairs"),
    ({"word": Width(20, False)}, "the middle field ends at bit 24")])
def test_unsafe_pairs_are_refused(change, words):
    with pytest.raises(IllFormed, match=words):
        replace(PAIRS["ulppack2_w4a4"], **change)


@pytest.mark.parametrize("name", PAIRS)
def test_every_pair_of_pairs(name):
    """All pairs of activations times all pairs of weights; as many of them as a word takes, and one more, which is too many."""
    row = PAIRS[name]
    x, w = (np.array(list(product(codes(row.takes[k]), repeat=2))) for k in "xw")
    for made in plain(row, x, w):
        np.testing.assert_array_equal(made, x @ w.T)
    ends = {tuple(pair) for pair in np.stack([x[0], x[-1], [x[0, 0], x[-1, 0]]]).tolist()}
    ends, times = np.array(sorted(ends)), fields.drain_of(row.parts)
    made, late = (matmul_ulppack.pairs_of(np.tile(ends, t), np.tile(w, t), row, drain=t) for t in (times, times + 1))
    np.testing.assert_array_equal(made, times * ends @ w.T)
    assert (late != (times + 1) * ends @ w.T).any()


@pytest.mark.parametrize("name", PAIRS)
def test_a_block_at_its_corner(name):
    """A whole block of the highest codes, and more behind it, is summed right."""
    row = PAIRS[name]
    x, w = (np.full((1, row.block + 3), row.takes[k].hi) for k in "xw")
    for made in plain(row, x, w):
        assert made.tolist() == [[(row.block + 3) * row.x.hi * row.w.hi]]


@pytest.mark.parametrize("module", [matmul_packed, matmul_ulppack], ids=lambda m: m.__name__.rpartition(".")[2])
def test_the_slips_of_words_alter_sums(module):
    """Drained one too late, emptied half as often, never cleared, the last drain lost, halves and nibbles swapped, a sign that is
    not repaired: each alters sums of 600 codes at the ends in every published row, or is proved to alter none."""
    rng, asked = np.random.default_rng(0), {"drained_too_late", "drained_half_as_often", "word_goes_on", "last_drain_lost"}
    asked |= {"halves_swapped", "odd_last_reads_on"} if module is matmul_ulppack else {
        "halves_swapped", "nibbles_swapped", "rows_turned", "results_turned", "sign_not_repaired", "products_not_repaired"}
    slips = {slip.__name__: slip for slip in module.slips}
    op = module.__name__.rpartition(".")[2]
    for row, name in product(module.PUBLISHED.values(), sorted(asked)):
        takes = row.takes
        x, w = (rng.choice([takes[k].lo, takes[k].hi], (n, 601)) for k, n in (("x", 4), ("w", 5)))
        x[0], x[1], w[0], w[1] = takes["x"].hi, takes["x"].lo, takes["w"].lo or takes["w"].hi, takes["w"].hi
        given = {"x": x.astype(row.x.dtype), "w": w.astype(row.w.dtype), "bias": np.arange(5, dtype=np.int32), "zx": 0,
                 "zw": np.zeros(5, row.w.dtype)}
        run = by_spec(op, row)
        altered = (slips[name](run, given, row)["acc"] != run(given)["acc"]).any()
        assert altered == (equivalent.nothing(op, row, f"slip {name}", ("slip none",)) is None), (row, name)


@pytest.mark.parametrize("name", PAIRS)
def test_oracle_of_pairs(name):
    row, rng = PAIRS[name], np.random.default_rng(1)
    for k, ends in product((1, 2, 37, 1041), (False, True)):
        x, w = drawn(rng, row.takes["x"], (2, k), ends), drawn(rng, row.takes["w"], (3, k), ends)
        expected = [[oracle.pairs(a, b, row.drain, row.apart, row.word.bits, row.block, row.into.bits) for b in w.tolist()]
                    for a in x.tolist()]
        np.testing.assert_array_equal(expected, x @ w.T)
        for made in plain(row, x, w):
            np.testing.assert_array_equal(made, expected)


def test_dsp48_over_all_operands():
    """All 65536 operands: exact with the full correction; without, the published 37.35 % and mean 0.374; with the approximate one
    a mean of 0.0235, and 3.125 %, 3.149 % and 3.137 % in the fields above another. Never off by more than 1."""
    x, w = (np.array(list(product(codes(d), repeat=2))) for d in (U4, I4))
    truth = x[:, :, None, None] * w
    rates = {}
    for name, row in FOURS.items():
        spec, kernel = plain(row, x[:, :, None], w.reshape(-1, 1))
        np.testing.assert_array_equal(spec, kernel)
        off = (spec.reshape(256, 2, 256, 2) - truth).transpose(3, 1, 0, 2).reshape(4, -1)
        assert abs(off).max() == (name != "dsp48_int4x4_full")
        rates[row.correction] = (off != 0).mean(1)
    assert not rates["full"].any()
    assert rates["none"].round(5).tolist() == [0, 0.46875, 0.49805, 0.52734]
    assert rates["approximate"].round(5).tolist() == [0, 0.03125, 0.03149, 0.03137]
    assert [round(rates[k].mean(), 4) for k in ("none", "approximate")] == [0.3735, 0.0235]


@pytest.mark.parametrize("name", FOURS)
def test_oracle_of_fours(name):
    row, rng = FOURS[name], np.random.default_rng(2)
    x, w = rng.integers(0, 16, (2, 3, 40)), rng.integers(-8, 8, (5, 40))
    a, b = np.pad(x, ((0, 0), (0, 1), (0, 0))).tolist(), np.pad(w, ((0, 1), (0, 0))).tolist()
    expected = np.zeros((2, 4, 6), np.int64)
    for n, r, m, k in product(range(2), (0, 2), (0, 2, 4), range(40)):
        found = oracle.dsp48((a[n][r][k], a[n][r + 1][k]), (b[m][k], b[m + 1][k]), row.correction)
        expected[n, [r, r + 1, r, r + 1], [m, m, m + 1, m + 1]] += found
    for made in plain(row, x, w):
        np.testing.assert_array_equal(made, expected[:, :3, :5])


@pytest.mark.parametrize("change,words", [
    ({"x": U8}, r"field 0 \(x0\*w0\) overflows: 1 products of up to 1785"), ({"x_apart": 7}, "lie upon one another"),
    ({"w_apart": 24}, "two codes of w, 24 bits apart, overflow the 27 bits of their port"), ({"w": U4}, "weights of u4"),
    ({"x_apart": 20, "w_apart": 40}, r"field 3 \(x1\*w1\) ends at bit 68, and the word i48 has 48")])
def test_unsafe_fours_are_refused(change, words):
    with pytest.raises(IllFormed, match=words):
        replace(FOURS["dsp48_int4x4_none"], **change)


class States(Sites):
    """What the words of one output held, site by site."""

    def __init__(self):
        self.seen = {}

    def __call__(self, name, value, width):
        self.seen[name] = np.ravel(value).tolist()
        return value

    def wrap(self, name, x, width):
        return self(name, width.wrap(x), width)


def test_every_state_of_a_word_can_be_seen():
    """Weights -3 and 5, activations 7 and 2: packed, multiplied, repaired and spread, added, drained."""
    at, row = States(), PACKED["agile_quant_s4u4_borrow"]
    given = np.array([[7, 2]], np.uint8), np.array([[-3, -1], [5, -8]], np.int8), np.zeros(2, np.int32), 0, np.zeros(2, np.int8)
    made = matmul_packed.spec(*given, row=row, at=at)
    assert made.tolist() == [[-23, 19]]
    first, second = 5 * 256 - 3, -8 * 256 - 1
    spread = [35 * 65536 - 21, -16 * 65536 - 2]
    assert at.seen == {"packed": [first, second], "product": [7 * first, 2 * second], "spread": spread,
                       "sum": [spread[0], sum(spread)], "drained": [-23, 19], "lifted": [-23, 19], "acc": [-23, 19]}


def test_guard_bits_and_a_word_of_48_bits():
    """The rule alone: the guard bits of a field, and fields that lie upon one another or leave the word."""
    low, high = fields.Field("the low field", 0, Width(18), -16256, 16384), fields.Field("the high field", 17, Width(18), 0, 1)
    assert (low.guard, low.drain) == (2, 7)
    with pytest.raises(IllFormed, match="dsp: the high field begins at bit 17, inside of the low field, which ends at bit 18"):
        fields.prove("dsp", (low, high), 1, I48)
    with pytest.raises(IllFormed, match="dsp: the high field borrows from what lies above it: products reach down to -1"):
        fields.prove("dsp", (fields.Field("the high field", 0, Width(8, False), -1, 1),), 1, I48)
