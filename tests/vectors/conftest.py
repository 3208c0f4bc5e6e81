"""What the tests of packs and kernels share: recorded packs, dumps of them, kernels that can be built."""
import shutil
from pathlib import Path

import numpy as np
import pytest
import small

from refq.vectors.record import record

KERNELS = Path(__file__).parent.parent / "kernels"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """The folder of a pack; not to be changed."""
    out = tmp_path_factory.mktemp("recorded") / "pack"
    record(small.program(), small.images(5), out, cases=3, seed=4, about={"model": "small", "accuracy": 0.5})
    return out


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    """A pack of three cases; not to be changed."""
    return record(small.program(), small.images(3), tmp_path_factory.mktemp("recorded") / "pack")


@pytest.fixture
def shown():
    """shown(pack, *without) is what a right device dumps: name to (cases *shape)."""
    def dump(pack, *without):
        cases = [pack.case(i) for i in range(pack.cases)]
        return {name: np.stack([case[name] for case in cases]) for name in pack.recorded if name not in without}

    return dump


@pytest.fixture
def place(tmp_path):
    """A folder with the kernels, where they can be built."""
    folder = Path(shutil.copytree(KERNELS, tmp_path / "kernels"))
    toml = folder / "kernel.toml"
    toml.write_text(toml.read_text().replace("*.fc1", "*fc?"))          # the small program has two such layers
    return folder


@pytest.fixture
def changed(place):
    """changed((old, new), ...) is kernel.toml with pieces of its text swapped."""
    def swapped(*swaps, name="kernel.toml"):
        text = (place / name).read_text()
        for old, new in swaps:
            assert old in text
            text = text.replace(old, new)
        (place / name).write_text(text)
        return place / name

    return swapped
