"""Verify says exactly what differs from a pack, and tells error that originates from error that propagates."""
import json

import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import Corrupt, IllFormed
from refq.vectors.pack import read
from refq.vectors.record import record
from refq.vectors.report import Report, Tally, Verdict
from refq.vectors.verify import verify, verify_itself

CASES = 3


def test_a_pack_is_a_dump(pack):
    """A pack can be verified against itself, by its folder."""
    assert verify(pack.folder, pack.folder, require="all").passed


def test_a_pack_against_itself(pack, tmp_path):
    """A pack's cases run anew are the pack; a program that did not make them shows, by step."""
    assert verify_itself(pack.folder).passed
    other = read(pack.folder)
    other.program.constants["fc2.w"] = other.program.constants["fc2.w"] ^ np.int8(1)
    report = verify_itself(other)
    assert not report.passed and report.first.step == "fc2" and report.first.pack.wrong
    with pytest.raises(Corrupt, match="manifest.json"):
        verify_itself(tmp_path / "nothing")


def test_propagates_and_originates(pack, shown):
    """A wrong hidden tensor originates; the logits that follow from it propagate; the report tells them apart."""
    arrays, program = shown(pack), pack.program
    arrays["hidden"] = np.where(arrays["hidden"] < 100, arrays["hidden"] + 20, arrays["hidden"]).astype(np.int8)
    for call in program.plan("kernel")[2:]:
        call(arrays, CASES, None)
    report = verify(pack, arrays)
    kinds = {v.tensor: v.kind for v in report.verdicts}
    assert kinds["hidden"] == "originates" and kinds["fc2.acc"] == kinds["logits"] == "propagates"
    assert kinds["x"] == kinds["fc1.acc"] == "right" and report.first.step == "fc1.rescale"
    assert report.verdicts[3].own.wrong == 0 and report.verdicts[3].pack.wrong > 0
    arrays["logits"][0, 0, 0] ^= 64
    again = {v.tensor: v for v in verify(pack, arrays).verdicts}
    assert again["logits"].kind == "originates" and again["logits"].own.wrong == 1
    text = str(verify(pack, arrays))
    assert "originates in fc1.rescale" in text and "propagates" in text


def test_the_table_says_what_it_is_of(pack, shown):
    """The histogram below a verdict is of differences against the pack, and says so."""
    arrays = shown(pack)
    arrays["logits"][0, 0, 0] ^= 1
    lines = str(verify(pack, arrays)).splitlines()
    at = next(i for i, line in enumerate(lines) if "originates in" in line)
    assert lines[at + 1].strip() == "against the pack:" and lines[at + 2].split() == ["difference", "count"]


def many(kinds, **more):
    """A report of a wrong tensor for each letter: o originates, p propagates, r is right, n is near."""
    verdicts = []
    for i, kind in enumerate(kinds):
        tallies = Tally(1), Tally(1)
        for tally, apart in zip(tallies, {"o": (9, 9), "p": (9, 0), "r": (0, 0), "n": (1, 0)}[kind]):
            tally.add(0, np.arange(40) * apart, np.arange(40) * 0 if apart != 1 else np.arange(40) - 1)
        verdicts.append(Verdict(f"s{i}", "add", f"t{i}", *tallies))
    return Report("0" * 64, "a dump", 1, 1, verdicts, **more)


@pytest.mark.parametrize("kinds,tables", [("r" + "o" * 300, 4), ("p" * 300, 1), ("op" * 150, 4), ("n" * 300, 0),
                                          ("p" * 20 + "oo", 2), ("o" * 3, 3)])
def test_the_text_is_short(kinds, tables):
    """However much is wrong the text stays short, shows the first wrong step, and says how much more there is."""
    report = many(kinds, notes=[f"note {i}" for i in range(50)])
    lines = str(report).splitlines()
    assert len(lines) < 170 and max(map(len, lines)) < 300
    assert sum("difference       count" in line for line in lines) == tables
    assert report.first is None or f"first wrong step: {report.first.step} " in lines[1]
    said = sum(line.startswith(tuple(f"{v.step} (" for v in report.wrong)) for line in lines)
    left = len(report.wrong) - said
    assert said <= 16 and (f"... and {left} more (--json lists them)" in lines) == (left > 0)
    assert len(report.json()["tensors"]) == len(kinds) and "... and 38 more (--json lists them)" in lines


def test_much_not_compared():
    """Up to six tensors that are not shown are named, more are counted."""
    names = [f"u{i}" for i in range(111)]
    assert "not compared: 111 of 112 tensors (--json lists them)" in str(many("r", left_out=names)).splitlines()
    assert "u0, u1, u2, u3, u4, u5" in str(many("r", left_out=names[:6]))
    partly = str(many("rr", left_out=[*names, "t1 (cases 0000)"]))
    assert "not compared: 112 of 113 tensors, 1 of them in some cases only (--json" in partly


def test_hidden_steps_are_named(pack, shown):
    """An error behind tensors that the device does not show is put down to all the steps it may have come from."""
    arrays = shown(pack, "fc1.acc", "hidden", "fc2.acc")
    arrays["logits"][2] += 1
    report = verify(pack, arrays)
    assert report.first.unit == "fc1 + fc1.rescale + fc2 + fc2.rescale" and report.first.kind == "originates"
    assert report.left_out == ["fc1.acc", "hidden", "fc2.acc"]
    assert "not compared" in str(report) and "fc1.acc" in str(report)


def test_many_hidden_steps_are_shortened():
    """Of many hidden steps the report names the ends and the number."""
    verdict = Verdict("last", "add", "y", Tally(0), Tally(0), tuple(f"s{i}" for i in range(27)))
    assert verdict.unit == "s0 ... s26 (27 steps, none shown) + last"


def test_hidden_in_the_cases_that_are_wrong(pack, shown):
    """A step whose tensor is shown in right cases only is hidden in the wrong one, and is not cleared by the others."""
    arrays = shown(pack)
    acc, call = arrays["fc1.acc"].copy(), pack.program.plan("kernel")[1]
    acc[1] += 5000
    live = {"fc1.acc": acc}
    call(live, CASES, None)
    dump = {"x": arrays["x"], "hidden": live["hidden"]}
    assert verify(pack, dump).first.unit == "fc1 + fc1.rescale"
    assert verify(pack, dump | {"0000/fc1.acc": arrays["fc1.acc"][0]}).first.unit == "fc1 + fc1.rescale"
    report = verify(pack, dump | {"0001/fc1.acc": acc[1]})
    assert report.first.unit == "fc1" and [v.kind for v in report.verdicts] == ["right", "originates", "propagates"]


def test_wrong_input(pack, shown):
    """A device that was fed something else is told so first, and its arithmetic is still judged."""
    arrays = shown(pack)
    other = pack.program
    arrays["x"] = small.images(CASES, seed=9)
    seen = {}
    other.run(arrays["x"], watch=lambda step, name, array: seen.setdefault(name, []).append(array))
    arrays |= {name: np.concatenate(parts) for name, parts in seen.items()}
    report = verify(pack, arrays)
    assert report.first.step == "input" and not report.passed
    assert all(v.kind != "originates" for v in report.verdicts if v.tensor != "x")


def test_require_all(pack, shown):
    """Tensors, or cases of them, that are not shown are refused where all are required."""
    with pytest.raises(IllFormed, match="fc1.acc"):
        verify(pack, shown(pack, "fc1.acc"), require="all")
    partly = {f"{i:04d}/{k}": v[i] for k, v in shown(pack).items() for i in range(CASES) if (k, i) != ("hidden", 1)}
    with pytest.raises(IllFormed, match=r"hidden \(cases 0001\)"):
        verify(pack, partly, require="all")
    assert verify(pack, partly).left_out == ["hidden (cases 0001)"]


def test_tolerance_is_said(pack, shown):
    """A tolerance turns differences up to it into right ones, and is printed with how many there were."""
    arrays = shown(pack)
    arrays["logits"] = np.clip(arrays["logits"].astype(int) + 2, -128, 127).astype(np.int8)
    assert not verify(pack, arrays, tolerance=1).passed
    report = verify(pack, arrays, tolerance=2)
    assert report.passed and "tolerance 2" in str(report) and "within the tolerance" in str(report)
    assert report.json()["tolerance"] == 2
    for bad in (-1, 0.5, True):
        with pytest.raises(IllFormed, match="tolerance"):
            verify(pack, arrays, tolerance=bad)


def near_and_what_follows(pack, shown):
    """A dump whose hidden codes are one too high, and what follows from them."""
    arrays = shown(pack)
    arrays["hidden"] = np.minimum(arrays["hidden"], 126) + np.int8(1)
    for call in pack.program.plan("kernel")[2:]:
        call(arrays, CASES, None)
    return arrays


def test_a_cause_within_the_tolerance(pack, shown):
    """Where all that is wrong follows from differences within the tolerance, the step that made those is named."""
    arrays = near_and_what_follows(pack, shown)
    report = verify(pack, arrays, tolerance=1)
    kinds = {v.tensor: v.kind for v in report.verdicts}
    assert not report.passed and kinds["fc2.acc"] == "propagates" and "originates" not in kinds.values()
    assert report.first.tensor == "hidden" and report.json()["first_wrong_step"] == "fc1.rescale"
    text = str(report)
    assert "first wrong step: fc1.rescale (rescale), tensor hidden; it differs within the tolerance, fc2.acc by more" in text
    assert "originates" not in text
    del arrays["fc1.acc"]
    assert verify(pack, arrays, tolerance=1).first.unit == "fc1 + fc1.rescale"


def test_a_step_wrong_of_itself_behind_the_tolerance(pack, shown):
    """A step that is wrong of itself is named before one that merely follows from accepted differences."""
    arrays = near_and_what_follows(pack, shown)
    arrays["logits"][0, 0, 0] ^= 64
    report = verify(pack, arrays, tolerance=1)
    assert report.first.tensor == "logits" and report.first.kind == "originates"
    assert "fc2.acc, before it, follows from differences within the tolerance; the first are in hidden" in str(report)


def test_nothing_compared_is_no_pass():
    """A report without a compared element has not passed, and says so."""
    empty = Report("0" * 64, "a kernel", 3, 0, [Verdict("fc1", "matmul", "acc", Tally(0))])
    assert not empty.passed and empty.first is None and "nothing was compared" in str(empty)


def test_codes_outside_the_width(tmp_path, shown):
    """Codes that a narrow width cannot hold are wrong, said, and not fed to kernels."""
    pack = record(small.program(hidden=small.W4), small.images(CASES), tmp_path / "pack")
    arrays = shown(pack)
    arrays["hidden"][:] = 100
    report = verify(pack, arrays)
    assert "hidden holds codes outside i4" in str(report)
    assert [v.tensor for v in report.verdicts if v.kind != "right"] == ["hidden"]


def test_json(pack, shown):
    """The report as JSON holds what the text says."""
    arrays = shown(pack)
    arrays["hidden"][0, 0, :3] ^= 1
    said = json.loads(json.dumps(verify(pack, arrays).json()))
    assert said["passed"] is False and said["first_wrong_step"] == "fc1.rescale"
    hidden = next(t for t in said["tensors"] if t["tensor"] == "hidden")
    assert hidden["pack"]["wrong"] == 3 and hidden["verdict"] == "originates"
    assert sum(b["count"] for b in hidden["pack"]["histogram"]) == 3 and len(hidden["pack"]["first"]) == 3


def test_changed_pack_is_refused(tmp_path):
    """Verify reads every case: one that was changed is refused though the dump shows another."""
    pack = record(small.program(), small.images(CASES), tmp_path / "pack")
    dump = {"0000/hidden": pack.case(0)["hidden"]}
    path = pack.folder / "cases" / "0002.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="0002.safetensors"):
        verify(pack.folder, dump)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["int8", "uint8", "int32", "int64"]), st.integers(0, 3), st.data())
def test_tally_counts(dtype, tolerance, data):
    """Counts, histogram, largest difference and first places are those of plain Python integers, at the rails too."""
    rails = np.iinfo(dtype)
    code = st.sampled_from([rails.min, rails.min + 1, 0, 1, 2, 3, rails.max]) | st.integers(rails.min, rails.max)
    codes = st.lists(code, min_size=12, max_size=12)
    got, expected = (np.array(data.draw(codes), dtype).reshape(3, 4) for _ in range(2))
    tally = Tally(tolerance)
    tally.add(7, got, expected)
    apart = [int(a) - int(b) for a, b in zip(got.flat, expected.flat)]
    wrong = [i for i, d in enumerate(apart) if abs(d) > tolerance]
    assert (tally.total, tally.wrong, tally.largest) == (12, len(wrong), max(map(abs, apart)))
    assert tally.near == sum(0 < abs(d) <= tolerance for d in apart)
    assert dict(tally.histogram) == {d: apart.count(d) for d in apart if d}
    assert [w["place"] for w in tally.first] == [[i // 4, i % 4] for i in wrong][:10]
