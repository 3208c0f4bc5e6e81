"""A C kernel with small codes in bytes, a pitch, compared padding, a workspace, and all cases in one call."""
import shutil

import pytest
import small

from refq.errors import RefqError
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.record import record

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc builds the kernels")


@pytest.fixture(scope="module")
def nibbles(tmp_path_factory):
    """A pack whose weights are i4."""
    return record(small.program(weights=small.W4), small.images(3), tmp_path_factory.mktemp("nibbles") / "pack")


@pytest.mark.parametrize("batch", ['batch = "n"', ""])
def test_right_storage_passes(nibbles, changed, batch):
    """What is stored as kernel.toml says is right, in one call or in many."""
    report = verify_kernel(nibbles, changed(('batch = "n"', batch), name="stored.toml"))
    assert report.passed and [v.pack.total for v in report.verdicts] == [3 * 30, 3 * 50]


@pytest.mark.parametrize("define,padding,kind", [("DIRTY", True, None), ("UNSIGNED", False, None),
                                                 ("UNCLEARED", False, "leftover")])
def test_wrong_storage_fails(nibbles, changed, define, padding, kind):
    """Dirty padding, nibbles without a sign, and a workspace that is not cleared are wrong, each in its own way."""
    report = verify_kernel(nibbles, changed(('"-O2"', f'"-O2", "-D{define}"'), name="stored.toml"))
    tally = report.first.pack
    assert not report.passed and bool(tally.padding) == padding and (not kind or tally.marked[kind])
    assert ("padding that does not hold" in str(report)) == padding


@pytest.mark.parametrize("swap,words", [
    (('order = "high_first"', 'order = "low_first"'), None), (('axis = "k"', 'axis = "m"'), None),
    (("strides = [16, 1]", ""), "far outside argument 'x'"), (('axis = "k"', 'axis = "z"'), "axis 'z' is none of m, k"),
    (("bits = 4", "bits = 3"), "codes of 3 bits do not fill words of 8 bits"),
    (("bits = 4", "bits = 2"), "values from -8 to 7, which 2 bits cannot hold"),
    (("strides = [16, 1]", "strides = [0, 1]"), "strides is"), (("strides = [16, 1]", "strides = [1]"), "1 strides for"),
    (('order = "high_first"', 'order = "big"'), "order is 'big'; it can be low_first or high_first"),
    (("align = 64", "align = 0"), "align is 0"), (("workspace = 40", 'workspace = 40\noperand = "acc"'), "contradict"),
    (('batch = "n"', "batch = true"), "batch is True"), (("success = 7", "success = 0"), r"returned 7 \(0 is success\)")])
def test_storage_that_is_said_wrongly(nibbles, changed, swap, words):
    """What is stored otherwise than the kernel reads it is wrong, and what cannot be meant is refused."""
    toml = changed(swap, name="stored.toml")
    if not words:
        assert not verify_kernel(nibbles, toml).passed
        return
    with pytest.raises(RefqError, match=words) as refused:
        verify_kernel(nibbles, toml)
    assert "stored.toml" in str(refused.value) and "\n" not in str(refused.value)
