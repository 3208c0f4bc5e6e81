"""The cause of a wrong result is named: alone, in a region, two at a time; and nothing is named that does not fit."""
import numpy as np
import pytest
import small

from refq.vectors.diagnosis.diagnose import diagnose
from refq.vectors.diagnosis.place import Place, by_spec
from refq.vectors.events import Events
from refq.vectors.mutants import of_run
from refq.vectors.record import record
from refq.vectors.verify import verify

PROGRAM = small.program()
STEPS = [s for s in PROGRAM.steps if s.name in ("fc1", "fc1.rescale")]
CODES = {"x": small.images(24, 5)}


@pytest.fixture(scope="module")
def place():
    return Place(PROGRAM, STEPS, CODES)


MUTANTS = {m.name: m for m in of_run(PROGRAM, STEPS)}


def told(diagnosis):
    return "\n".join(diagnosis.lines())


@pytest.mark.parametrize("start", range(4))
def test_every_kind_of_mistake_is_found(place, start):
    """What a mutant gives is explained by it: it is among the causes, which explain every difference and break nothing."""
    found = 0
    for name in list(MUTANTS)[start * 3::12]:
        device = place.run(MUTANTS[name])
        wrong = int((device["hidden"] != place.truth["hidden"]).sum())
        if not wrong:               # changes nothing on this data
            continue
        diagnosis, found = diagnose(place, device), found + 1
        assert (diagnosis.wrong, diagnosis.equal) == (wrong, device["hidden"].size - wrong)
        assert name in [c.mutants[0].name for c in diagnosis.causes if len(c.mutants) == 1]
        assert all((c.explained, c.left, c.broken) == (wrong, 0, 0) for c in diagnosis.causes)
        assert told(diagnosis).startswith(f"cause: step {diagnosis.step}: {diagnosis.causes[0].phrase()}; explains")
    assert found > 10


@pytest.mark.parametrize("rows, channels, words", [
    (slice(4, None), slice(None), "rows past the first 4"), (slice(None), slice(4, None), "channels past the first 4"),
    (slice(None), slice(4, 6), "the tail of a loop of 4 over the last axis"), (slice(0, 1), slice(None), "the first row")])
def test_where_a_mistake_shows(place, rows, channels, words):
    """A mistake that acts in a part of the result only is told with its region."""
    device = {"hidden": place.truth["hidden"].copy()}
    wrong = place.run(MUTANTS["ties=floor"])["hidden"]
    device["hidden"][:, rows, channels] = wrong[:, rows, channels]
    causes = diagnose(place, device).causes
    regions = {c.where for c in causes if c.mutants[0].name == "ties=floor"}
    assert len(regions) == 1
    inside = np.zeros(device["hidden"].shape, bool)
    inside[:, rows, channels] = True
    assert words in regions or (wrong != place.truth["hidden"])[inside].sum() == (device["hidden"] != place.truth["hidden"]).sum()
    assert any(c.mutants[0].name == "ties=floor" and c.fits for c in causes)


def test_two_mistakes_at_once(place):
    """Two mistakes that only together give the result are found as a pair."""
    pair = MUTANTS["slip bias_dropped"], MUTANTS["ties=floor"]
    diagnosis = diagnose(place, place.run(pair))
    assert diagnosis.causes and len(diagnosis.causes[0].mutants) == 2
    assert {"slip bias_dropped", "ties=floor"} in [{m.name for m in c.mutants} for c in diagnosis.causes]


def test_noise_has_no_cause(place):
    """Differences that no mistake makes are said to be unknown, with what comes nearest."""
    device = {"hidden": place.truth["hidden"].copy()}
    noise = np.random.default_rng(0)
    places = noise.integers(0, device["hidden"].size, 200)
    device["hidden"].reshape(-1)[places] ^= noise.integers(1, 127, 200).astype(np.int8)
    diagnosis = diagnose(place, device)
    assert not diagnosis.causes and "unknown" in told(diagnosis)
    assert all(c.left or c.broken for c in diagnosis.partial)


def test_rows_in_other_places(place):
    """Rows that were stored in each other's place are found by looking for them."""
    device = {"hidden": place.truth["hidden"][:, [0, 1, 2, 3, 1]]}
    causes = diagnose(place, device).causes
    assert "rows of the result are mixed up (row 4 holds what belongs in row 1)" in [c.phrase() for c in causes]


def test_elements_set_aside(place):
    """Elements that were never written speak neither for a cause nor against it."""
    device = {"hidden": place.run(MUTANTS["ties=floor"])["hidden"].copy()}
    aside = np.zeros(device["hidden"].shape, bool)
    aside[:, -1] = True
    device["hidden"][aside] = -86
    diagnosis = diagnose([place], [device], [{"hidden": aside}])
    assert "ties=floor" in [c.name for c in diagnosis.causes]
    assert diagnosis.wrong + diagnosis.equal == (~aside).sum()


def test_few_differences_are_said_to_be_few(place):
    """One wrong element is too few to be sure, and the sentence says so."""
    device = {"hidden": place.truth["hidden"].copy()}
    wrong = place.run(MUTANTS["ties=half_even"])["hidden"]
    at = tuple(np.argwhere(wrong != place.truth["hidden"])[0]) if (wrong != place.truth["hidden"]).any() else (0, 0, 0)
    device["hidden"][at] += 1
    assert "too few to be sure" in told(diagnose(place, device)) or "unknown" in told(diagnose(place, device))


def test_one_device_at_several_places():
    """A cause has to fit at every place that the device did: what fits only one of them is not named."""
    second = Place(PROGRAM, STEPS, {"x": small.images(24, 9)})
    first = Place(PROGRAM, STEPS, CODES)
    devices = [place.run(MUTANTS["multiplier=q15"]) for place in (first, second)]
    alone, together = diagnose(first, devices[0]), diagnose([first, second], devices)
    assert {c.name for c in together.causes} <= {c.name for c in alone.causes}
    assert "multiplier=q15" in {c.name for c in together.causes}
    assert together.wrong == sum(int((d["hidden"] != p.truth["hidden"]).sum()) for p, d in zip((first, second), devices))


def test_separating_inputs_separate(place):
    """The input that is shown tells the first cause from another: run anew, they differ there as it says."""
    device = place.run(MUTANTS["slip last_tile_lost(y, 4)"])
    diagnosis = diagnose(place, device)
    found = diagnosis.separating
    if not found:
        pytest.skip("one cause fits")
    trial = Place(PROGRAM, STEPS, {k: np.array([v], np.int8) for k, v in found["input"].items()})
    index = (0, *found["place"])
    assert trial.truth["hidden"][index] == found["expected"]
    for cause in diagnosis.causes:
        if cause.name in found["answers"]:
            assert trial.run(cause.mutants)["hidden"][index] == found["answers"][cause.name]
    assert len(set(found["answers"].values())) > 1


def test_a_dump_is_diagnosed(tmp_path):
    """verify names the cause in its text and in JSON, at the device's own inputs; a device that is right has none."""
    pack = record(PROGRAM, CODES["x"], tmp_path / "pack", cases=6)
    codes = np.stack([pack.case(i)["x"] for i in range(pack.cases)])
    wrong = Place(PROGRAM, STEPS, {"x": codes}).run(MUTANTS["ties=trunc"])["hidden"]
    report = verify(pack, {"hidden": wrong})
    assert "cause: step fc1.rescale: truncates toward zero" in str(report)
    assert any(c["mutants"] == ["ties=trunc"] for c in report.json()["diagnoses"][0]["causes"])
    right = verify(pack, {"hidden": np.stack([pack.case(i)["hidden"] for i in range(pack.cases)])})
    assert right.passed and not right.diagnoses and "cause" not in str(right)


def test_where_the_wrong_elements_lie(place):
    """By case, row and channel, by place in a tile, and how many are ties or saturated: as counted by hand."""
    device = {"hidden": place.truth["hidden"].copy()}
    device["hidden"][3:5, 2, 1::2] ^= 1
    said = diagnose(place, device).spread
    axes = {a["axis"]: a for a in said["axes"]}
    assert axes["cases"]["most"] == [[3, 3], [4, 3]] and axes["cases"]["wrong"] == 2
    assert axes["rows"] == {"axis": "rows", "size": 5, "wrong": 1, "most": [[2, 6]]}
    assert axes["channels"]["wrong"] == 3 and (axes["channels"]["modulo"], axes["channels"]["remainders"]) == (2, [1])
    seen = Events()
    by_spec("rescale", STEPS[1].row)(place.operands(1), at=seen)
    assert said["saturated"] == seen.seen["y"]["saturations"] and said["wrong_ties"] <= 6


def test_ties_are_counted(place):
    """Where only ties are wrong, all wrong elements are ties."""
    device = place.run(MUTANTS["ties=half_up"])
    wrong = int((device["hidden"] != place.truth["hidden"]).sum())
    said = diagnose(place, device).spread
    assert said["wrong_ties"] == wrong <= said["ties"]
