"""What is proved to be no bug is none: intervals hold every register, and proved mutants change no drawn result."""
import numpy as np
import pytest

from refq import dialects
from refq.errors import IllFormed
from refq.ints.sites import Sites
from refq.vectors.diagnosis.place import Place, by_spec
from refq.vectors.draw import again
from refq.vectors.draw.configuration import configuration, links, together
from refq.vectors.scoring import score as scores
from refq.vectors.scoring.equivalent import reason
from refq.vectors.scoring.equivalent.domain import Domain

ROWS = [("ivit", "rescale"), ("tflite", "rescale"), ("tosa", "rescale_wide"), ("onnx", "rescale"), ("tflite", "add"),
        ("ivit", "add"), ("tosa", "add"), ("onnx", "add"), ("ivit", "softmax"), ("ivit", "softmax_wide"), ("ivit", "gelu"),
        ("ivit", "gelu_wide"), ("ivit", "layernorm"), ("tosa", "matmul"), ("tosa", "clip"), ("tosa", "table"), ("tosa", "mean"),
        ("fqvit", "layernorm"), ("fqvit", "softmax"), ("fqvit", "softmax_wide"), ("tosa", "softmax"), ("pulp_ita", "softmax"),
        ("ivit_tvm", "gelu"), ("ivit_tvm", "layernorm"), ("tosa_converter", "softmax_wide"), ("cmsis_nn", "rmsnorm")]


PUBLISHED = [("tflite", f"{op}:{name}") for op, name in (
    ("pack_codes", "gptq3"), ("unpack_codes", "gptq_zeros4_wrapped"), ("dequantize_minifloat", "e4m3fnuz"),
    ("quantize_blocks", "q4_0"))]


def places(dialect, role, indices):
    """A Place of every configuration that is admitted."""
    chain = links(role, dialects.load(dialect))
    for index in indices:
        try:
            made = configuration(chain, dialect, 0, index, 7)
            program = together([made], dialect)[0]
            program.prove()
        except IllFormed:
            continue
        yield Place(program, made.steps, made.inputs)


class Ends(Sites):
    """Notes the least and the largest value at every site."""

    def __init__(self):
        self.seen = {}

    def __call__(self, name, value, width):
        ends = np.min(value), np.max(value)
        old = self.seen.get(name, ends)
        self.seen[name] = min(old[0], ends[0]), max(old[1], ends[1])
        return value


@pytest.mark.parametrize("dialect, role", [r for r in ROWS if r[1] not in ("matmul",) and r != ("onnx", "add")])
def test_intervals_hold_every_register(dialect, role):
    """What a spec meets at a site lies in the Interval of that site."""
    for place in places(dialect, role, range(8)):
        step, at = place.steps[0], Ends()
        with np.errstate(all="ignore"):
            by_spec(step.op, step.row)(place.operands(0), at=at)
        reached = {s[0]: s[6] for s in Domain(place.program, step, True).trace()[0]}
        for name, (least, largest) in at.seen.items():
            if name in reached:
                assert reached[name].lo <= least and largest <= reached[name].hi, (name, reached[name])


@pytest.mark.parametrize("dialect, role", ROWS + PUBLISHED)
def test_no_proved_mutant_is_ever_seen(dialect, role):
    """Other vectors than those that the golden packs were made of kill no mutant that was proved equivalent."""
    proved = None
    for place in places(dialect, role, range(20, 25)):
        run = list(place.steps)
        mutants = {m.name: m for m in scores.mutants_of(place.program, run)}
        if proved is None:
            proved = {name for name, m in mutants.items() if reason(place.program, [(run, m)], True)}
        for name in proved & set(mutants):
            assert not any(scores.kills(place, mutants[name]).values()), name
    assert proved is not None


def told(chain, dialect, name, free=True):
    program, _ = again(chain, dialect, [1])
    run = [program.steps[0]]
    mutant = next(m for m in scores.mutants_of(program, run) if m.name == name)
    return reason(program, [(run, mutant)], free)


def test_sentences():
    """Each judge says why."""
    assert told("rescale", "tosa", "overflow=saturate") == "under this row the spec never reads overflow"
    assert "stays within" in told("matmul", "tosa", "site partial: wraps at i48")
    assert "same rail" in told("rescale", "tosa", "site scaled: saturates at i16")
    assert "one rounding" not in (told("rescale", "tosa", "ties=half_away") or "")
    assert told("rescale", "tosa", "ties=half_away") is None


def test_a_tie_that_cannot_be():
    """With multipliers whose ties lie beyond the register, roundings to the nearest are one; with others they are not."""
    program, _ = again("rescale", "tosa", [1])
    run, count = [program.steps[0]], len(program.constants["rescale.0.mult"])
    mutant = next(m for m in scores.mutants_of(program, run) if m.name == "ties=half_away")
    program.constants["rescale.0.zin"] = np.array(0, np.int32)
    for mult, meets in ((2**30 + 1, False), (2**30, True)):
        program.constants["rescale.0.mult"] = np.full(count, mult)
        program.constants["rescale.0.shift"] = np.full(count, 40, np.int8)
        said = reason(program, [(run, mutant)], False)
        assert (said is None) == meets and (meets or "meets no tie" in said)
