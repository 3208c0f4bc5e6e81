"""Packs to hand over, and the tools that judge what was handed over."""
import shutil

import numpy as np
import pytest
import small

from refq.ints.width import I4
from refq.vectors.exchange.exported import export
from refq.vectors.record import record
from tests.conftest import missing
from tests.vectors.exchange.formats.steps import clip


@pytest.fixture(scope="session")
def narrow(tmp_path_factory):
    """A pack of three cases, one of whose tensors has 4-bit codes; not to be changed."""
    return record(small.program(hidden=I4), small.images(3), tmp_path_factory.mktemp("narrow") / "pack")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A pack whose rescales round once, half up, as a line of Verilog does; not to be changed."""
    return record(small.program(high="none", ties="half_up"), small.images(3), tmp_path_factory.mktemp("once") / "pack")


@pytest.fixture(scope="session")
def cut(tmp_path_factory):
    """A pack of one clip of three codes; not to be changed."""
    codes = np.array([[-128, 5, 127], [90, -100, 0], [-101, 91, 3]], np.int8)
    return record(clip(), codes, tmp_path_factory.mktemp("cut") / "pack")


@pytest.fixture
def out(tmp_path):
    """out(pack, format, **options) is the folder of an export, and its index."""
    def write(pack, to, **options):
        folder = tmp_path / f"{to}{len(list(tmp_path.iterdir()))}"
        return folder, export(pack, to, folder, **options)

    return write


@pytest.fixture(scope="session")
def tool():
    """tool("gcc", "gcc") is where a program lies, or skips: the package that brings it is named."""
    def find(name, package):
        return shutil.which(name) or missing(f"{name} is not installed; apt install {package} brings it")

    return find
