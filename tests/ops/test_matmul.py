"""matmul and batch_matmul against sums of Python integers."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.sites import Sites
from refq.ints.width import I4, I16, I32, I48, I64, U4, U8, U16
from refq.machine.linear import linear, rule_of
from refq.ops import batch_matmul, matmul
from tests import oracle_linear as oracle
from tests.ops.strategies import by_kernel, by_spec, operands_of, rails, small, uniform

SEQUENTIAL = Accumulate(order="sequential", overflow="saturate", width=I16)


def wide(width):
    return {"acc": width, "accumulate": Accumulate(overflow="wrap", width=width)}


ROWS = [({"accumulate": Accumulate(overflow="wrap")}, oracle.wrapped(32)),
        ({"x": U8, "w": I4, "accumulate": Accumulate(overflow="wrap")}, oracle.wrapped(32)),
        ({"x": I16, **wide(I48)}, oracle.wrapped(48)),
        ({"x": U16, "w": U4, **wide(I64)}, oracle.wrapped(64)),
        ({"acc": I16, "accumulate": Accumulate(overflow="saturate", width=I16)}, oracle.clipped(16)),
        ({"acc": I16, "accumulate": SEQUENTIAL}, oracle.saturated(16))]


def listed(operands):
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in operands.values()]


@pytest.mark.parametrize("style", [uniform, rails])
@pytest.mark.parametrize("fields, joined", ROWS)
def test_matmul_is_the_sum_of_products(fields, joined, style):
    """Spec and kernel give the sums of Python integers, joined as the row says, over tiles and what is left of them."""
    row = matmul.Row(**fields)
    for n, m, k in ((1, 1, 1), (3, 5, 7), (19, 33, 66), (2, 3, 0), (0, 2, 3), (2, 0, 3)):
        operands = operands_of(row, {"n": n, "m": m, "k": k}, np.random.default_rng(n + k), lambda: style)
        expected = np.array(oracle.matmul(*listed(operands), joined), row.acc.dtype).reshape(n, m)
        for by in (by_spec, by_kernel):
            np.testing.assert_array_equal(by("matmul", row)(operands)["acc"], expected)


@pytest.mark.parametrize("fields", [{"accumulate": Accumulate(overflow="wrap")}, {"x": I16, "w": I16, "acc": I64}])
def test_batch_matmul_is_a_matmul_an_image(fields):
    """Each image is a matmul of its own, with one zero point a side and no bias."""
    row = batch_matmul.Row(**fields)
    bits = row.acc.bits
    for n, r, m, k in ((1, 1, 1, 1), (3, 17, 34, 21), (2, 0, 3, 4), (0, 2, 2, 2)):
        operands = operands_of(row, {"n": n, "r": r, "m": m, "k": k}, np.random.default_rng(k), lambda: uniform)
        zx, zw = operands["zx"], operands["zw"]
        expected = [oracle.matmul(x, w, [0] * m, zx, [zw] * m, oracle.wrapped(bits))
                    for x, w in zip(operands["x"].tolist(), operands["w"].tolist(), strict=True)]
        for by in (by_spec, by_kernel):
            np.testing.assert_array_equal(by("batch_matmul", row)(operands)["acc"],
                                          np.array(expected, row.acc.dtype).reshape(n, r, m))


def test_every_pair_of_codes():
    """All 2**16 products of two 8-bit codes less a zero point each, signed and unsigned."""
    for x in (matmul.Row().x, U8):
        row = matmul.Row(x=x, w=x)
        codes = np.arange(x.lo, x.hi + 1).astype(x.dtype)[:, None]
        operands = {"x": codes, "w": codes, "bias": np.zeros(256, np.int32), "zx": x.hi,
                    "zw": np.full(256, x.lo, x.dtype)}
        expected = np.subtract.outer(codes[:, 0].astype(int), x.hi)[:, None] * (codes[:, 0].astype(int) - x.lo)
        np.testing.assert_array_equal(by_kernel("matmul", row)(operands)["acc"], expected)


def test_codes_stand_for_real_numbers():
    """On grids of powers of two, where float64 is exact, accumulators decode to the real products."""
    row, sizes = matmul.Row(), {"n": 3, "m": 4, "k": 5}
    x, w, bias, zx, zw = operands_of(row, sizes, np.random.default_rng(5), lambda: small).values()
    decoded = matmul.real((x.astype(float) - zx) / 8, (w - zw[:, None].astype(float)) / 4, bias / 32)
    np.testing.assert_array_equal(matmul.spec(x, w, bias, zx, zw, row=row) / 32, decoded)
    row = batch_matmul.Row()
    x, w, zx, zw = operands_of(row, sizes | {"r": 2}, np.random.default_rng(6), lambda: uniform).values()
    decoded = batch_matmul.real((x.astype(float) - zx) / 8, (w.astype(float) - zw) / 4)
    np.testing.assert_array_equal(batch_matmul.spec(x, w, zx, zw, row=row) / 32, decoded)


def test_partial_sums_are_seen_in_order():
    """A listener sees a sum grow by one product at a time, from the bias on; and order shows where it saturates."""
    class Seen(Sites):
        def __init__(self):
            self.values = []

        def __call__(self, name, value, width):
            if name == "partial":
                self.values.append(int(value[0, 0]))
            return value

    x, w = np.array([[100, 100, -100]], np.int8), np.full((1, 3), 127, np.int8)
    for accumulate, expected in ((SEQUENTIAL, [20000, 32700, 32767, 20067]), (None, [32700, 45400, 32700])):
        row, seen = matmul.Row(acc=I16 if accumulate else I32, accumulate=accumulate), Seen()
        matmul.spec(x, w, np.array([20000]), 0, np.zeros(1, np.int8), row=row, at=seen)
        assert seen.values == expected


def test_an_overflow_is_refused():
    """The default row refuses a sum that the accumulator does not hold, and says so."""
    codes = np.full((1, 4), -128, np.int8)
    with pytest.raises(IllFormed, match="i16"):
        matmul.spec(codes, codes, np.zeros(1, np.int32), 0, np.zeros(1, np.int8), row=matmul.Row(acc=I16))


def test_impossible_rows_are_refused():
    """Operands over 16 bits, registers without a sign, and two accumulators are refused when a row is born."""
    for fields in ({"x": I32}, {"acc": U16}, {"acc": I48, "accumulate": Accumulate(overflow="wrap")}):
        for op in (matmul, batch_matmul):
            with pytest.raises(IllFormed, match=op.__name__.split(".")[-1]):
                op.Row(**fields)


def test_orders_share_machine_code_where_order_is_idle():
    """Rows that differ only in an order that cannot matter run the same kernel."""
    row = matmul.Row(accumulate=Accumulate(order="tiles", size=4, overflow="wrap"))
    assert matmul.kernel(row) is linear(row.x, row.w, Accumulate(overflow="wrap"))
    assert matmul.kernel(row) is not linear(row.x, row.w, rule_of(matmul.Row(acc=I48)))
