"""refq explain, record and shrink as a shell calls them."""
import json
import re
from pathlib import Path

import numpy as np
import pytest

from refq.vectors.pack import read


@pytest.fixture(scope="module")
def first(made):
    """(step, its tensor, one case's codes) of the pack's first rescale."""
    pack = read(made / "pack")
    step = next(s for s in pack.program.steps if s.op == "rescale")
    (tensor,) = step.outputs.values()
    return step, tensor, pack.case(1)[tensor]


def test_explain(refq, refq_json, made, first):
    """Text, JSON and page hold the element's code; the page stands alone."""
    step, tensor, codes = first
    index = [0] * codes.ndim
    place = f"{step.name}{index}"
    said = refq("explain", made / "pack", place, "--case", "1", "--html", "page.html").out
    assert said.startswith(f"{tensor}{index} of case 1 is {codes[tuple(index)]}\n") and "written to page.html" in said
    assert "the pack holds the same" in said and re.search(r">> \d+ +scaled", said)
    told = refq_json("explain", made / "pack", place, "--case", "1")
    assert told["value"] == codes[tuple(index)] and told["agrees"] and len(told["parts"]) == 2
    assert len(refq_json("explain", made / "pack", place, "--back", "0")["parts"]) == 1
    page = Path("page.html").read_text()
    assert page.startswith("<!doctype html>") and "<script" not in page and "http" not in page


def test_explain_refuses(refused, made, first):
    """What is not in the pack is one sentence."""
    step, tensor, codes = first
    assert f"{tensor} has shape" in refused("explain", made / "pack", step.name)
    assert "has cases 0 to 1" in refused("explain", made / "pack", f"{step.name}[0]", "--case", "2")
    assert "choose another place" in refused("explain", made / "pack", f"{step.name}{[0] * codes.ndim}", "--html", "no/page.html")


def test_record_and_verify(refq, refq_json, made):
    """Partial sums are recorded beside the pack, and a dump of them is judged, tile by tile."""
    step = next(s for s in read(made / "pack").program.steps if s.op == "matmul")
    said = refq("record", made / "pack", "--watch", f"{step.name}:acc@k=4", "--out", "partials").out
    assert said.startswith(f"{step.name}.acc@k=4   ") and said.endswith("2 cases written to partials\n")
    assert refq("verify", made / "pack", "--against", "partials").out.startswith("PASS")
    from safetensors.numpy import load_file
    wrong = [load_file(f"partials/{i:04d}.safetensors")[f"{step.name}.acc@k=4"] for i in range(2)]
    wrong[1][1:] += 3
    np.savez("wrong.npz", **{f"{step.name}.acc@k=4": np.stack(wrong)})
    words = refq_json("verify", made / "pack", "--against", "wrong.npz", status=1)
    assert words["first_wrong_step"] == step.name and any("tile 1, k 4..7, is the first" in note for note in words["notes"])


def test_record_refuses(refused, made):
    assert "write STEP:acc@k=32" in refused("record", made / "pack", "--watch", "acc", "--out", "partials")


def test_shrink(refq, made, first):
    """A wrong dump becomes a small pack with a dump of its own, and the lines that come next work as printed."""
    step, tensor, _ = first
    pack = read(made / "pack")
    codes = np.stack([pack.case(i)[tensor] for i in range(2)])
    codes[(1,) * codes.ndim] ^= 1
    np.savez("dump.npz", **{tensor: codes})
    said = refq("shrink", made / "pack", "--against", "dump.npz", "--out", "small").out
    *_, replay, explain = said.splitlines()
    assert replay == "next: refq verify small --against small/dump.npz" and "expected" in said
    assert refq(*replay.split()[2:], status=1).out.startswith("FAIL")
    assert "the pack holds the same" in refq(*explain.replace("'", "").split()[1:]).out
    assert json.loads((Path("small") / "manifest.json").read_text())["about"]["shrunk_from"] == pack.hash


def test_shrink_refuses(refused, made):
    assert "one of them" in refused("shrink", made / "pack", "--out", "small")
    assert "one of them" in refused("shrink", made / "pack", "--against", "a", "--kernel", "b", "--out", "small")
