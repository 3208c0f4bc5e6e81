"""The same program and the same pack on every machine: sums in any order, functions an ulp off, any cache, any threads."""
import json
import os
import subprocess
import sys

import digits
import numpy as np
import pytest

from refq import dialects, embedded, recipes
from refq.graph.calibrate import choose, observe
from refq.graph.describe import program_hash
from refq.graph.evaluate import activations
from refq.reals.floats import erf
from refq.vectors.record import record
from tools import record as tool


class Shuffled:
    """NumPy's functions as another machine may have them: every sum in another order, exp, erf, sqrt and tanh moved by one ulp
    this way or that."""

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed)

    def __getattr__(self, name):
        return getattr(np, name)

    def order(self, x, axes):
        for axis in range(x.ndim) if axes is None else axes if isinstance(axes, tuple) else (axes,):
            x = np.take(x, self.draw.permutation(x.shape[axis]), axis)
        return x

    def nudged(self, y):
        return np.nextafter(y, self.draw.choice((-np.inf, np.inf), np.shape(y)))

    def matmul(self, a, b):
        turn = self.draw.permutation(a.shape[-1])
        return np.matmul(a[..., turn], b[..., turn, :])

    def sum(self, x, axis=None, keepdims=False):
        return np.sum(self.order(x, axis), axis=axis, keepdims=keepdims)

    def mean(self, x, axis=None, keepdims=False):
        return np.mean(self.order(x, axis), axis=axis, keepdims=keepdims)

    def exp(self, x):
        return self.nudged(np.exp(x))

    def erf(self, x):
        return self.nudged(erf(x))

    def sqrt(self, x):
        return self.nudged(np.sqrt(x))

    def tanh(self, x):
        return self.nudged(np.tanh(x))


IMAGES = 24


@pytest.mark.parametrize("name", recipes.names())
def test_quantizing_does_not_depend_on_the_machine(name):
    """Calibrated with sums permuted and functions an ulp off, the program has the same hash, with zero points and without."""
    recipe, network = recipes.load(name), digits.network()

    def hashes(**functions):
        ranges = observe(network, digits.calibration(IMAGES), recipe, **functions)
        return [program_hash(digits.from_grids(choose(network, ranges, recipe, dialects.load(d)), name, d))
                for d in ("tflite", "ivit")]

    true = hashes()
    assert len(set(true)) == 2
    for seed in range(3):
        assert hashes(functions=Shuffled(seed)) == true


def test_the_other_machine_is_another_one():
    """The check itself: the shuffled functions do move almost every tensor of the float network."""
    network, image = digits.network(), digits.calibration(1)
    here, there = activations(network, image), activations(network, image, Shuffled(0))
    moved = [name for name in here if not np.array_equal(here[name], there[name])]
    assert len(moved) > len(here) * 0.9
    assert all(np.allclose(here[name], there[name], 1e-9, 1e-11) for name in here)


def test_committed_grids_are_reproduced():
    """Calibrating the embedded network anew gives refq/embedded/grids.json, every scale within one float32 ulp."""
    kept, made = json.loads(embedded.path("grids.json").read_text()), tool.grids()
    assert made.keys() == kept.keys() and len(kept) == 2 * len(recipes.names())
    for choice, grids in kept.items():
        assert made[choice].keys() == grids.keys()
        for group, grid in grids.items():
            new = made[choice][group]
            assert {k: v for k, v in new.items() if k != "scale"} == {k: v for k, v in grid.items() if k != "scale"}
            old, new = (np.float32(float.fromhex(g["scale"])) for g in (grid, new))
            assert new in (old, np.nextafter(old, np.float32(0)), np.nextafter(old, np.float32(np.inf)))


@pytest.mark.parametrize("recipe, dialect", [("int8", "tflite"), ("w4a8", "ivit")])
def test_pack_hashes_are_reproduced(tmp_path, root, recipe, dialect):
    """The pack of the first images has the hash in golden/hashes.json."""
    program = digits.program(recipe, dialect)
    pack = record(program, embedded.as_input(embedded.images()[:tool.CASES]), tmp_path / "pack", tool.CASES)
    assert pack.hash == json.loads((root / "golden/hashes.json").read_text())[f"digits {recipe} {dialect}"]


@pytest.mark.slow
def test_all_pack_hashes_are_reproduced(root):
    """tools/record.py gives what golden/hashes.json says of the embedded network, for every recipe and dialect."""
    made, kept = tool.hashes(), json.loads((root / "golden/hashes.json").read_text())
    assert made == {name: value for name, value in kept.items() if name.startswith("digits ")}
    assert len(made) == len(recipes.names()) * len(digits.SPINE)


SCRIPT = """
import sys
from hashlib import sha256
from pathlib import Path
from refq import embedded
from refq.graph.describe import program_hash
from refq.graph.quantize import quantize
from refq.load.network import load
from refq.vectors.record import record
program = quantize(load(embedded.network()), None, "int8", "tosa", embedded.grids("int8", (8,)))
images = embedded.as_input(embedded.images()[:40])
codes = program.run(program.encode(images), threads=int(sys.argv[2]))[program.outputs[0]]
print(program_hash(program), record(program, images, Path(sys.argv[1]), 2).hash, sha256(codes.tobytes()).hexdigest())
"""


def test_fresh_processes_agree(tmp_path):
    """Two new processes, the compile cache cold and then warm, one thread and then two: one program hash, one pack hash."""
    cache, said, compiled = tmp_path / "cache", [], [0]
    environment = os.environ | {"REFQ_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    for threads in ("1", "2"):
        run = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / f"pack{threads}"), threads], env=environment,
                             capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.split())
        compiled.append(sum(p.is_file() for p in cache.rglob("*")))
    assert compiled[0] < compiled[1] == compiled[2]
    assert said[0] == said[1] and len(said[0]) == 3
    assert said[0][0] == program_hash(digits.program("int8", "tosa"))
