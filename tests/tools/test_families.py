"""Seeded small networks of every family: their packs have the hashes that are kept, on every machine."""
import json

import numpy as np
import pytest

from refq.vectors.record import record as recorded
from tools import record
from tools.families import NETWORKS, PAIRS, coarse, program

QUICK = ("tflite", "fqvit")
"""The dialects that every run tries; all: python -m pytest -m slow tests/tools/test_families.py."""
KEPT = json.loads((record.GOLDEN / "hashes.json").read_text())


@pytest.mark.parametrize(("family", "dialect"), [pair if pair[1] in QUICK else pytest.param(*pair, marks=pytest.mark.slow)
                                                 for pair in PAIRS])
def test_the_pack_has_the_hash_that_is_kept(tmp_path, family, dialect):
    """Recording runs kernels and specs, which agree; the hash is a statement about arithmetic."""
    made, images = program(family, dialect)
    found = recorded(made, images, tmp_path / "pack", 1).hash
    if f"{family} int8 {dialect}" not in KEPT:
        pytest.skip("golden/hashes.json does not hold it yet: python tools/record.py writes it")
    assert found == KEPT[f"{family} int8 {dialect}"]


def test_scales_have_few_digits():
    """12 bits in the scale of every tensor of the network, which is what is chosen; others are computed from these."""
    made, _ = program("resnet", "tflite")
    for name in NETWORKS["resnet"]().shapes:
        if (tensor := made.tensors.get(name)) is not None:
            assert coarse(tensor.grid).scale == tensor.grid.scale
            assert float(np.frexp(float(tensor.grid.scale))[0] * 4096).is_integer()
