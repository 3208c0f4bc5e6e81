"""pack_codes and unpack_codes: the published loops written again, every code in every place, the rows of layouts."""
import numpy as np
import oracle_layouts as oracle
import pytest

from refq import layouts
from refq.errors import IllFormed
from refq.ints.width import I4, U4, Width
from refq.ops import pack_codes, unpack_codes


@pytest.mark.parametrize("name", pack_codes.PUBLISHED)
def test_published_rows_are_the_loops_written_again(name):
    row = pack_codes.PUBLISHED[name]
    back = unpack_codes.PUBLISHED[name]
    for count in (1, 2, 3, 33, 197, 4096):
        x = np.random.default_rng(count).integers(row.line.lo, row.line.hi + 1, (2, count)).astype(row.line.codes.dtype)
        expected = [oracle.line(line, row.x.bits, row.order, row.stored, row.per, row.unit) for line in x.tolist()]
        assert pack_codes.spec(x, row).tolist() == expected
        y = np.array(expected, np.uint8)
        whole = unpack_codes.spec(y, back)
        assert np.array_equal(whole[:, :count], x) and whole.shape[1] % row.per == 0


@pytest.mark.parametrize("name", ("gptq3", "awq", "gptq_zeros4", "xnnpack_qc4w"))
def test_every_code_in_every_place_by_the_kernels(name):
    row, back = pack_codes.PUBLISHED[name], unpack_codes.PUBLISHED[name]
    codes = np.arange(row.line.lo, row.line.hi + 1)
    one, place, rest = (a.reshape(-1) for a in np.meshgrid(codes, np.arange(row.per), codes, indexing="ij"))
    x = np.repeat(rest[:, None], row.per, 1)
    x[np.arange(len(x)), place] = one
    x = x.astype(row.line.codes.dtype)
    y, again = np.empty((len(x), row.unit), np.uint8), np.empty_like(x)
    pack_codes.kernel(row)(x, y)
    assert np.array_equal(y, pack_codes.spec(x, row))
    unpack_codes.kernel(back)(y, again)
    assert np.array_equal(again, x)


def test_rows_are_those_of_the_layouts():
    for name, layout, parameters in pack_codes.LAYOUTS:
        line = layouts.load(layout).Layout(**parameters).line
        assert pack_codes.PUBLISHED[name].line.bits.tolist() == line.bits.tolist()
    assert unpack_codes.PUBLISHED["cmix_nn2_reordered"].line.places.tolist() == [p for i in range(8) for p in (i, i + 8)]


def test_what_is_refused():
    for fields in ({"x": I4, "stored": "minus_one"}, {"x": Width(9)}, {"x": U4, "per": 3}, {"per": 0},
                   {"x": U4, "order": "interleaved", "per": 3, "unit": 2},
                   {"x": Width(3), "order": "halves", "per": 8, "unit": 3}):
        with pytest.raises(IllFormed):
            pack_codes.Row(**fields)
    with pytest.raises(IllFormed, match="less than one unit"):
        unpack_codes.Row(tail=2)
    with pytest.raises(IllFormed, match="truncated"):
        unpack_codes.Row(x=U4, per=8, unit=4).sizes({"j": 6})
