"""recode: every code of one grid on another, of every kind, against the other grid's own encode of the exact real."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.grids.adalog import reaching
from refq.grids.affine import Affine
from refq.grids.log2 import Log2
from refq.grids.log_sqrt2 import LogSqrt2
from refq.grids.twin import Twin
from refq.ints.width import I4, I8, I16, U4, U8, U16, Width
from refq.ops import recode
from refq.ops.recode import Row
from tests import oracle_logarithms as oracle


def affine(width, scale, zero=0):
    return Affine(width, np.float64(np.float32(scale)), np.int64(zero))


AFFINE = (affine(I8, 1 / 256, -128), affine(U8, 1 / 255), affine(I16, 2.0 ** -15), affine(U16, 1 / 65535), affine(I4, 1 / 15, -8))
OTHER = (Log2(), Log2(U4, "zero", switch="inverse"), Log2(Width(5, False), "zero", 15), LogSqrt2(),
         reaching(U4, 1.0, 20, 37, "zero"), Twin(), Twin(I8, 3, 0.004))
PAIRS = [(a, b) for a in AFFINE for b in OTHER] + [(b, a) for a in AFFINE for b in OTHER] + [
    (OTHER[0], OTHER[5]), (OTHER[5], OTHER[3])]


def all_codes(width):
    return np.arange(width.lo, width.hi + 1).astype(width.dtype)


@pytest.mark.parametrize("source, target", PAIRS, ids=lambda g: f"{g.kind}-{g.width}")
def test_every_code_between_every_pair_of_kinds(source, target):
    """Kernel and spec, over all codes of the source: what the target makes of the real that the code stands for. Codes in use on
    neither side end where the used ones do."""
    row = Row(q=source.width, out=target.width)
    built = {k: v.astype(row.takes[k].width.dtype) for k, v in recode.build(row, source, target).items()}
    q, y = all_codes(source.width), np.empty(1 << source.width.bits, target.width.dtype)
    expected = target.encode(source.decode(np.clip(q, source.lo, source.hi)))
    recode.kernel(row)(q, *built.values(), y)
    assert np.array_equal(y, expected) and np.array_equal(recode.spec(q, *built.values(), row=row), expected)
    many = np.resize(q, (1 << source.width.bits) + 5)
    y = np.empty(many.shape, target.width.dtype)
    recode.kernel(row)(many, *built.values(), y)
    assert np.array_equal(y, np.resize(expected, many.shape))


def test_thresholds_of_probabilities_in_sixteen_bits():
    """From shares of 2**-15 to 15 powers: at the switch itself, which 16 bits hold between no two codes but one."""
    built = recode.build(Row(q=I16), AFFINE[2], Log2(U4, "zero", switch="inverse"))
    t = dict(zip(built["codes"].tolist()[1:], built["turns"].tolist()))
    assert t[0] == 21846 and t[1] == 10923 and t[14] == 2 and built["codes"][0] == 15
    for code in built["turns"].tolist():
        above, below = (oracle.log2_code(oracle.Fraction(c, 1 << 15), 14, True, "inverse") for c in (code, code - 1))
        assert above < below


def test_ties_onto_an_affine_grid_go_as_the_row_says():
    source, target = affine(I8, 0.5), affine(I4, 1.0)
    for ties, one in (("half_even", 0), ("half_away", 1), ("floor", 0), ("half_up", 1)):
        built = recode.build(Row(ties=ties), source, target)
        assert recode.spec(np.array([1]), built["turns"], built["codes"], Row(ties=ties))[0] == one


def test_sizes_and_widths_are_refused_by_a_sentence():
    with pytest.raises(IllFormed, match="one code more"):
        Row().sizes({"i": 3, "j": 3})
    with pytest.raises(IllFormed, match="recode"):
        Row(q=Width(24))
