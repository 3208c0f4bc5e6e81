"""The mutation score says which bugs vectors let pass, the same for a pack, a dump and an ONNX test_data_set."""
import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from refq.cli import main
from refq.errors import IllFormed
from refq.vectors.draw import again, draw
from refq.vectors.record import record
from refq.vectors.scoring import scored
from refq.vectors.scoring.score import score


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small pack of vectors."""
    vectors = draw("clip", "tosa")
    return vectors, record(vectors.program, vectors.inputs, tmp_path_factory.mktemp("p") / "pack", vectors.cases,
                           about=vectors.about)


def test_a_pack_has_the_score_its_vectors(drawn):
    """What is scored again is what the manifest says."""
    vectors, pack = drawn
    again_scored, kept = scored.score(pack.folder), pack.manifest["about"]["mutation_score"]
    assert all(again_scored[k] == kept[k] for k in ("mutants", "killed", "survivors"))
    assert kept["relative_to"] == again_scored["relative_to"] == "drawn constants"
    assert vectors.score.complete and kept["survivors"] == 0


def test_poor_vectors_let_bugs_pass():
    """Zeros kill little; what would pass unseen is named."""
    program, inputs = again("rescale", "tosa", [0, 1, 4])
    poor = score(program, {n: np.zeros_like(c) for n, c in inputs.items()}, free=True)
    rich = score(program, inputs, free=True)
    assert poor.counts["killed"] < 0.7 * rich.counts["killed"]
    named = poor.json()["groups"][0]["survivors_by_name"]
    assert any(name.startswith("ties=half_away") for name in named)
    assert not any(name.startswith("ties=half_away") for name in rich.json()["groups"][0]["survivors_by_name"])


def test_counts_add_up():
    """Every mutant is killed, proved equivalent, or a survivor; none twice."""
    program, inputs = again("rescale", "tflite", [0])
    made = score(program, inputs, free=True)
    for counts in (made.counts, made.groups[0].bugs):
        assert counts["mutants"] == counts["killed"] + counts["equivalent"] + counts["survivors"] > 50


def test_given_constants():
    """With given constants, what they cannot tell apart is proved: no zero points, so none can be forgotten."""
    program, inputs = again("rescale", "tosa", [1])
    zero = {n: np.zeros_like(c) if n.endswith((".zp", ".zin")) else c for n, c in program.constants.items()}
    program.constants.update(zero)
    made = score(program, inputs)
    assert made.relative_to == "given constants"
    assert made.groups[0].equivalent["slip zp_dropped"] == "with these constants and sizes it changes no operand"


def test_dumps(drawn, tmp_path):
    """The same inputs as .npz, and as an ONNX test_data_set, score the same; a missing input is refused."""
    vectors, pack = drawn
    np.savez(tmp_path / "v.npz", **vectors.inputs)
    for case in range(pack.cases):
        folder = tmp_path / "onnx" / f"test_data_set_{case}"
        folder.mkdir(parents=True)
        for i, (name, codes) in enumerate(vectors.inputs.items()):
            (folder / f"input_{i}.pb").write_bytes(numpy_helper.from_array(codes[case], name).SerializeToString())
    kept = pack.manifest["about"]["mutation_score"]
    for where in (tmp_path / "v.npz", tmp_path / "onnx"):
        assert scored.score(where, pack.folder)["killed"] == kept["killed"]
    np.savez(tmp_path / "less.npz", **dict(list(vectors.inputs.items())[1:]))
    with pytest.raises(IllFormed, match="has no array for input"):
        scored.score(tmp_path / "less.npz", pack.folder)
    (tmp_path / "onnx/test_data_set_0/input_0.pb").write_bytes(b"no tensor")
    with pytest.raises(IllFormed, match="cannot be read as an ONNX TensorProto"):
        scored.score(tmp_path / "onnx", pack.folder)
    assert onnx.__version__


def test_verbs(tmp_path):
    """`refq vectors` writes a pack and says its score; `refq score` reads it; what cannot be is one sentence."""
    run = CliRunner().invoke
    made = run(main, ["vectors", "clip", "--dialect", "tosa", "--out", str(tmp_path / "v"), "--json"])
    assert made.exit_code == 0 and json.loads(made.output)["mutation_score"]["survivors"] == 0
    scored = run(main, ["score", str(tmp_path / "v")])
    assert scored.exit_code == 0 and "killed" in scored.output
    refused = run(main, ["score", str(tmp_path)])
    assert refused.exit_code == 2 and "is no pack" in refused.output and "Traceback" not in refused.output
    refused = run(main, ["vectors", "clip", "--shape", "n", "--out", str(tmp_path / "w")])
    assert refused.exit_code == 2 and "AXIS=SIZE" in refused.output
