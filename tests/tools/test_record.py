"""Golden packs are what golden/hashes.json says, and come out again from their seed."""
import json

import numpy as np
import pytest

from refq.vectors.pack import read
from tools import record

KEPT = json.loads((record.GOLDEN / "hashes.json").read_text())
NAMES = sorted(name.removeprefix("vectors ") for name in KEPT if name.startswith("vectors "))
MOST = 24 << 20
FIXED = ("hard_swish", "leaky_relu-fraction8", "softmax_gemmlowp", "softmax_table16")
"""Operations with many roundings far below a code: what few of them show in 8 bits, and the judges do not prove."""


def test_every_operation_and_row_has_a_pack():
    """The folder holds a pack for each distinct row of the dialects, and some units; nothing else, and under 20 MiB."""
    assert NAMES == sorted(record.wanted()) and len(NAMES) >= 27
    assert sum(f.stat().st_size for f in record.GOLDEN.rglob("*") if f.is_file()) < MOST


@pytest.mark.parametrize("name", NAMES)
def test_reproduced_from_its_seed(name, tmp_path):
    """Kernels and specs give the pack again, bit for bit."""
    pack = read(record.GOLDEN / name)
    pack.check()
    assert pack.hash == KEPT[f"vectors {name}"] == record.reproduced(name, tmp_path).hash


@pytest.mark.parametrize("name", NAMES)
def test_score(name):
    """The manifest has a mutation score: at least 85 of 100 bugs that are not proved equivalent are seen, 75 of FIXED."""
    score = read(record.GOLDEN / name).manifest["about"]["mutation_score"]
    bugs = score["bugs"]
    assert bugs["mutants"] == bugs["killed"] + bugs["equivalent"] + bugs["survivors"]
    assert score["relative_to"] == "drawn constants"
    assert bugs["killed"] >= (0.75 if name.startswith(FIXED) else 0.85) * (bugs["mutants"] - bugs["equivalent"])


def test_drift_says_pack_tensor_and_code(tmp_path):
    """A changed code is named."""
    pack = read(record.GOLDEN / "clip")
    new = record.reproduced("clip", tmp_path)
    assert record.drift(pack, new) == ["operations or rows only"]
    name = pack.recorded[-1]
    cases = [pack.case(i) for i in range(pack.cases)]
    cases[1][name] = cases[1][name].copy()
    cases[1][name].flat[2] += 1
    assert record.drift(pack, Held(new, cases)) == [
        f"case 1, tensor {name}: 1 of {cases[1][name].size} codes changed, the first at "
        f"{tuple(int(i) for i in np.argwhere(pack.case(1)[name] != cases[1][name])[0])}: "
        f"{pack.case(1)[name].flat[2]} became {cases[1][name].flat[2]}"]


class Held:
    """A pack whose cases are other ones."""

    def __init__(self, pack, cases):
        self.program, self.cases, self.recorded, self.case = pack.program, pack.cases, pack.recorded, cases.__getitem__
