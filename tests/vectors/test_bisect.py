"""Bisect: the steps that are wrong on their own, and no others, in few calls; devices that cannot be fed, or hide tensors."""
import sys
from textwrap import dedent

import digits
import numpy as np
import pytest
from click.testing import CliRunner

from refq.cli.commands.bisect import command
from refq.errors import IllFormed, RefqError
from refq.ints.sites import unwatched
from refq.vectors import bisected
from refq.vectors.bisect import bisect
from refq.vectors.record import record


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A pack of a network of many steps; not to be changed."""
    program = digits.program("int8", "tflite")
    return record(program, digits.codes(program, 2), tmp_path_factory.mktemp("bisect") / "pack")


class Device:
    """A right device but for the steps in `broken`, whose results have a high bit turned."""

    def __init__(self, program, broken=(), hidden=(), feeds=True):
        self.program, self.broken, self.hidden, self.feeds, self.calls = program, set(broken), set(hidden), feeds, 0

    def __call__(self, feed, want):
        self.calls += 1
        if not self.feeds and set(feed) != set(self.program.inputs):
            raise NotImplementedError
        live, images = dict(feed), len(next(iter(feed.values())))
        for call in self.program.plan("kernel"):
            taken = [t for t in call.step.inputs.values() if t not in self.program.constants]
            if all(t in live for t in taken) and not set(call.step.outputs.values()) & set(feed):
                call(live, images, unwatched)
                if call.step.name in self.broken:
                    for name in call.step.outputs.values():
                        live[name] = live[name] ^ (1 << self.program.tensors[name].width.bits - 2)
        return {name: live[name] for name in want if name not in self.hidden}


def names(found):
    return [origin.steps for origin in found.origins]


def test_a_right_device_passes_in_one_call(deep):
    """What is right at the end is asked once."""
    found = bisect(deep, Device(deep.program))
    assert found.passed and found.calls == 1 and found.json()["origins"] == []
    assert "what a later step hides was not looked for" in str(found)


@pytest.mark.parametrize("place", [0, 17, -1])
def test_the_step_that_is_wrong_is_found(deep, place):
    """Wherever it is; in no more calls than twice the logarithm, and a few, of the number of steps."""
    step = deep.program.steps[place].name
    device = Device(deep.program, [step])
    found = bisect(deep, device)
    assert names(found) == [[step]] and found.origins[0].fed and found.whole and not found.passed
    assert found.calls == device.calls <= 2 * len(deep.program.steps).bit_length() + 3
    assert all(t.wrong == t.total for t in found.origins[0].tallies.values())


def test_two_steps_are_told_from_what_propagates(deep):
    """Two wrong steps are both named, in program order; the many in between that only carry an error are not."""
    broken = [deep.program.steps[i].name for i in (4, 40)]
    found = bisect(deep, Device(deep.program, broken))
    assert names(found) == [[name] for name in broken]
    assert "2 steps are wrong" in str(found) and "only propagate" in str(found)


def test_a_device_that_starts_at_its_inputs_only(deep):
    """The first wrong step is found by prefixes, and nothing is claimed of what lies behind."""
    broken = [deep.program.steps[i].name for i in (9, 40)]
    for device, feeds in ((Device(deep.program, broken, feeds=False), True), (Device(deep.program, broken), False)):
        found = bisect(deep, device, feeds=feeds)
        assert names(found) == [broken[:1]] and not found.origins[0].fed and not found.whole
        assert "is not known" in str(found)


def test_hidden_tensors_make_a_run_of_steps(pack):
    """A device that shows no accumulator has its fused steps told as one."""
    program = pack.program
    found = bisect(pack, Device(program, ["fc2"], hidden=["fc1.acc", "fc2.acc"]))
    assert names(found) == [["fc2", "fc2.rescale"]] and "nothing between them is shown" in str(found)


def test_devices_that_answer_nonsense_are_refused(pack):
    """One sentence for no dict, another shape, floats, missing outputs, and inputs that it cannot take."""
    right = Device(pack.program)

    def cannot(feed, want):
        raise NotImplementedError

    cases = ((lambda feed, want: [], "gave list"), (lambda feed, want: {}, "has to show the outputs"),
             (lambda feed, want: {k: v[:, :1] for k, v in right(feed, want).items()}, "of shape"),
             (lambda feed, want: {k: v.astype(float) for k, v in right(feed, want).items()}, "float64"),
             (cannot, "cannot start from the network's inputs"))
    for device, said in cases:
        with pytest.raises(RefqError, match=said):
            bisect(pack, device)


def test_a_device_that_changes_its_mind_is_refused(pack):
    """A step that is wrong in a run and right when it is fed is called what it is."""
    calls = iter(range(100))

    def device(feed, want):
        return Device(pack.program, ["fc1.rescale"] if next(calls) < 3 else [])(feed, want)

    with pytest.raises(RefqError, match="same answer to the same question"):
        bisect(pack, device)


def test_by_command(recorded, tmp_path, root, monkeypatch):
    """A command reads feed/ and want.txt and writes shown/; the verb names the step and ends with status 1."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    script = tmp_path / "device.py"
    script.write_text(dedent("""
        import sys
        from pathlib import Path
        import numpy as np
        from refq.graph import store
        from refq.ints.sites import unwatched
        folder, program = Path(sys.argv[2]), store.load(Path(sys.argv[1]))
        live = {p.stem: np.load(p) for p in (folder / "feed").iterdir()}
        fed, images = set(live), len(next(iter(live.values())))
        for call in program.plan("kernel"):
            taken = [t for t in call.step.inputs.values() if t not in program.constants]
            if all(t in live for t in taken) and not set(call.step.outputs.values()) & fed:
                call(live, images, unwatched)
                if call.step.name == "fc2":
                    live["fc2.acc"] = live["fc2.acc"] + 100000
        for name in (folder / "want.txt").read_text().splitlines():
            np.save(folder / "shown" / f"{name}.npy", live[name])
    """))
    done = CliRunner().invoke(command, [str(recorded), "--command", f"{sys.executable} {script} {recorded}"])
    assert done.exit_code == 1 and "step fc2 is wrong on its own, fed with its true inputs" in done.output


def test_by_function(tmp_path, monkeypatch):
    """MODULE:FUNCTION is looked for in the working folder; what it raises becomes a sentence."""
    (tmp_path / "bisected_device.py").write_text("def right(feed, want):\n    return {w: feed[w] for w in want}\n")
    monkeypatch.chdir(tmp_path)
    device = bisected.function("bisected_device:right")
    assert device({"x": 1}, ["x"]) == {"x": 1}
    with pytest.raises(RefqError, match="raised KeyError"):
        device({}, ["x"])
    for text, said in (("bisected_device", "MODULE:FUNCTION"), ("no_such_module:f", "No module"),
                       ("bisected_device:f", "no function 'f'")):
        with pytest.raises(IllFormed, match=said):
            bisected.function(text)


def test_commands_that_fail_are_refused(tmp_path):
    """A command that is not there, or that ends with another status, is one sentence; status 3 says that it cannot."""
    feed = {"a/b": np.zeros(1, np.int8)}
    with pytest.raises(RefqError, match="cannot be run"):
        bisected.command("no-such-command-at-all")(feed, ["y"])
    with pytest.raises(RefqError, match="ended with status 5: broken"):
        bisected.command("sh -c 'echo broken >&2; exit 5'")(feed, ["y"])
    with pytest.raises(NotImplementedError):
        bisected.command("sh -c 'exit 3'")(feed, ["y"])
    assert bisected.command("sh -c 'cp $0/feed/a%2Fb.npy $0/shown/'")(feed, ["a/b"])["a/b"].shape == (1,)
