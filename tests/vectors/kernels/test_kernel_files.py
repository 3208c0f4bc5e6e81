"""A command that takes files is judged as a library is: right, wrong, or at fault in one sentence."""
import sys

import pytest

from refq.errors import RefqError
from refq.vectors.kernels.kernel import verify_kernel

BATCH = ("time_limit = 60", "time_limit = 60\nbatch = true"), (', "{n}"', "")


@pytest.fixture
def commanded(changed):
    """commanded(*swaps) is files.toml for the small program, its command run by this Python."""
    def made(*swaps):
        return changed(("*.fc1", "*fc?"), ('"python3"', f'"{sys.executable}"'), *swaps, name="files.toml")

    return made


@pytest.mark.parametrize("swaps", [(), BATCH])
def test_right_command_passes(pack, commanded, swaps):
    """Operands as binaries and as hex words, in a run a case and in one run for all."""
    report = verify_kernel(pack, commanded(*swaps))
    assert report.passed and [v.pack.total for v in report.verdicts] == [3 * 30, 3 * 50]


@pytest.mark.parametrize("wrong,kind,share", [("unwritten", "unwritten", 7), ("unknown", "unknown", 5)])
def test_wrong_results(pack, commanded, monkeypatch, wrong, kind, share):
    """What is never written, and what is X or Z, is wrong and told so; never 0."""
    monkeypatch.setenv("WRONG", wrong)
    report = verify_kernel(pack, commanded(*BATCH))
    tally = report.verdicts[0].pack
    assert tally.marked[kind] == tally.wrong == 3 * -(-30 // share) and not report.faults
    assert f"{tally.wrong} elements " in str(report)
    if kind == "unknown":
        assert tally.first[0]["got"] is None and not tally.histogram and "  X  " in str(report)


def test_a_short_result_is_unknown_at_its_end(pack, commanded, monkeypatch):
    """Hex words that a result's file lacks count as wrong."""
    monkeypatch.setenv("WRONG", "short")
    tally = verify_kernel(pack, commanded(*BATCH)).verdicts[0].pack
    assert tally.wrong == tally.marked["unknown"] == 3 * 2 and tally.first[0]["place"] == [4, 4]


@pytest.mark.parametrize("wrong,swap,words", [
    ("absent", (), "cases 0000, 0001, 0002: y.hex cannot be read after the call"),
    ("garbage", (), "y.hex: 'garbage' is no word of hex digits"),
    ("", ("matmul_files.py", "gone.py"), "ended its process with status 2: .*No such file"),
    ("", ('"matmul_files.py"', '"-c", "print(chr(7) * 9 + chr(27), flush=True); 1/0"'), "status 1: ZeroDivisionError"),
    ("", ('"matmul_files.py"', '"-c", "import time; print(flush=True); time.sleep(99)"'), "ran longer than 1 s"),
    ("", ("{folder}", "{place}"), "command names {place}, which is nothing passed by value"),
    ("", (f'"{sys.executable}"', '"./no-such-command"'), "command './no-such-command' cannot be run"),
    ("", ('format = "hex"\nword = 32\n\n[arguments.bias]', '[arguments.bias]'), "status 1"),
    ("", ('way = "value"\n\n[arguments.n]', "\n[arguments.n]"), "way is None"),
    ("", ('dtype = "int8"\n\n[arguments.w]', "\n[arguments.w]"), "dtype is None"),
    ("", ("[arguments.bias]", "[arguments.bias]\nalign = 4"), "takes no align"),
    ("", ("time_limit", 'library = "x.so"\ntime_limit'), "command and library are two ways"),
    ("", ('way = "out"', 'way = "in"\nsize = "n"'), "has no result, so there is nothing to compare")])
def test_faults(pack, commanded, monkeypatch, wrong, swap, words):
    """An absent result, garbage, a command that fails, hangs or is missing, and what cannot be meant: one sentence."""
    monkeypatch.setenv("WRONG", wrong)
    quick = ("time_limit = 60", "time_limit = 1") if "sleep" in str(swap) else None
    toml = commanded(*(s for s in (swap, quick) if s))
    with pytest.raises(RefqError, match=words) as refused:
        verify_kernel(pack, toml)
    assert "files.toml" in str(refused.value) and "\n" not in str(refused.value) and "\a" not in str(refused.value)


def test_a_result_of_the_wrong_size(pack, commanded):
    """A binary result that is too long or too short is refused with both sizes."""
    code = "import sys; open(sys.argv[1] + '/y.bin', 'wb').write(bytes(31))"
    toml = commanded(('"matmul_files.py"', f'"-c", "{code}"'), ('way = "out"\ndtype = "int8"\nformat = "hex"\nword = 32',
                                                                 'way = "out"\ndtype = "int8"'))
    with pytest.raises(RefqError, match="y.bin holds 31 bytes, and y has 30"):
        verify_kernel(pack, toml)


@pytest.mark.parametrize("swaps", [(), BATCH])
def test_a_fault_in_one_case(pack, commanded, place, swaps):
    """Where the command fails on one case of one unit, the others get their verdict; in a batch they are run alone."""
    first = int(pack.case(1)["x"].flat[0])
    source = (place / "matmul_files.py").read_text()
    (place / "matmul_files.py").write_text(source.replace(
        "    w = words(", f"    if x[0, 0] == {first} and x.shape[1] == 7:\n        os.abort()\n    w = words("))
    report = verify_kernel(pack, commanded(*swaps))
    assert len(report.faults) == 1 and "unit fc1 + fc1.rescale, case 0001: crashed with signal 6" in report.faults[0]
    assert [v.pack.total for v in report.verdicts] == [2 * 30, 3 * 50] and not report.wrong and not report.passed
