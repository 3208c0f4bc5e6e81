"""The command line called as a shell calls it: arguments in; exit status, stdout and stderr out."""
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from load.drawn import vit, written

from refq.cli import main


def everything(folder):
    """What lies in a folder: path to bytes."""
    return {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in Path(folder).rglob("*")}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with model.onnx, images.npy and pack, recorded under tosa."""
    folder = tmp_path_factory.mktemp("made")
    written(vit(17, np.float32), folder)
    np.save(folder / "images.npy", np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32))
    with pytest.raises(SystemExit) as left:
        main(["golden", str(folder / "model.onnx"), "--data", str(folder / "images.npy"), "--dialect", "tosa", "--cases", "2",
              "--out", str(folder / "pack")], prog_name="refq")
    assert left.value.code == 0
    return folder


@pytest.fixture
def refq(capsys, tmp_path, monkeypatch):
    """refq("show", "tosa") in an empty folder gives what it said; `status`: the exit status that it must have."""
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def run(*arguments, status=0):
        with pytest.raises(SystemExit) as left:
            main([os.fspath(a) for a in arguments], prog_name="refq")
        said = capsys.readouterr()
        assert (left.value.code or 0) == status, said.out + said.err
        return said

    return run


@pytest.fixture
def refused(refq, tmp_path):
    """refused(...) is the one sentence on stderr of a call that ends with status 2 and leaves everything as it was."""
    def run(*arguments):
        before = everything(tmp_path)
        said = refq(*arguments, status=2)
        assert said.out == "" and everything(tmp_path) == before
        (line,) = said.err.splitlines()
        assert line.startswith("refq: ") and "Traceback" not in line
        return line

    return run


@pytest.fixture
def refq_json(refq):
    """The same with --json, parsed."""
    return lambda *arguments, status=0: json.loads(refq(*arguments, "--json", status=status).out)


@pytest.fixture
def pack(made, tmp_path):
    """A copy of the pack, to be damaged."""
    return shutil.copytree(made / "pack", tmp_path / "pack")


@pytest.fixture
def golden(refused, made):
    """The sentence of `refq golden MODEL --data images.npy ...`."""
    return lambda model, *more: refused("golden", model, "--data", made / "images.npy", "--out", "new", *more)
