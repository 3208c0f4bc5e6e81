"""Wrong kernels after real, fixed issues, written by people who had not read how refq makes mistakes.

tests/kernels/field holds them in three sets (wrong.toml, held_out.toml, third.toml: source and bug in words); causes.toml,
written afterwards, says which mutant is the bug. Every one fails, at least 70 % get their cause, and none gets another
one. As they came, before any kind of mistake was added after reading them: 4 of 32, 8 of 23, 6 of 20.
"""
import re
import shutil
import tomllib
from collections import Counter

import numpy as np
import pytest
from kernels.judge import CONV, HERE, MATMUL, TFLITE, Layer, program

from refq.vectors.diagnosis import diagnose
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.record import record
from tests.conftest import missing

FIELD = HERE / "field"
SETS = ("wrong.toml", "held_out.toml", "third.toml")
BUGS = {name: bug for s in SETS for name, bug in tomllib.loads((FIELD / s).read_text()).items()}
CAUSES = tomllib.loads((FIELD / "causes.toml").read_text())
SHARE = 0.7
UNSEEN = ("BUG_BATCH_DRIFT",)
"""Shows only where three images go into one call, and these kernels are called for one."""


def codes(rng, shape):
    """Codes of the whole range, every seventh at an end of it or at 0."""
    made, ends = rng.integers(-128, 127, shape, endpoint=True), rng.random(shape) < 0.15
    made[ends] = rng.choice([-128, 127, -128, 0], ends.sum())
    return made


def dense(rng, n, k, m, zx, zp, scales, zw=0, most=127):
    w = np.clip(codes(rng, (m, k)), -most - 1, most)
    return Layer("matmul", MATMUL(), TFLITE, (n, k), w, rng.integers(-3000, 3000, m), zx, scales, zp, zw)


def between(rng, lo, hi, m):
    return np.exp(rng.uniform(np.log(lo), np.log(hi), m))


def powers(rng, m):
    return rng.choice(2.0 ** -np.arange(6, 10), m)


def matmuls(rng):
    """Lengths around tiles, square ones, zero points of all kinds, real multipliers below and above 1, ties."""
    return [dense(rng, 5, 48, 33, -3, 5, between(rng, 1e-3, 3e-3, 33)), dense(rng, 6, 37, 19, 7, -10, powers(rng, 19)),
            dense(rng, 4, 16, 20, 0, 0, powers(rng, 20)), dense(rng, 7, 80, 40, -128, 0, between(rng, 5e-4, 2e-3, 40), 3),
            dense(rng, 3, 3, 5, 4, -2, between(rng, 0.3, 0.9, 5), 0, 3),
            dense(rng, 4, 5, 17, 1, 3, between(rng, 0.8, 4, 17), 0, 2), dense(rng, 4, 24, 6, 2, 30, between(rng, 0.8, 3, 6)),
            dense(rng, 9, 45, 37, 12, -3, between(rng, 8e-4, 4e-3, 37), rng.integers(-9, 9, 37)),
            dense(rng, 6, 32, 32, 5, 0, powers(rng, 32)), dense(rng, 5, 70, 18, -20, 7, between(rng, 6e-4, 2e-3, 18))]


def convs(rng):
    """The geometry of conv.toml: odd and even sizes, filters of one row, more channels than a tile."""
    row = CONV(stride=(2, 1), padding=(0, 1, 1, 2), dilation=(1, 2))
    shapes = (((7, 6, 3), (5, 3, 3), 9), ((8, 9, 4), (6, 2, 3), -20), ((5, 5, 2), (3, 3, 2), 3), ((6, 7, 5), (17, 1, 3), 11),
              ((5, 5, 5), (3, 2, 2), 6),
              ((9, 8, 9), (6, 3, 3), -4))
    return [Layer("conv2d", row, TFLITE, shape, codes(rng, (m, kh, kw, shape[2])), rng.integers(-3000, 3000, m), zx,
                  between(rng, 1e-3, 6e-3, m), 4) for shape, (m, kh, kw), zx in shapes]


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    if not shutil.which("gcc"):
        missing("gcc is not installed; apt-get install gcc brings it")
    made = {}
    for kind, layers in (("matmul", matmuls), ("conv", convs)):
        rng = np.random.default_rng(4)
        made[kind] = program(layers(rng))
        images = {name: codes(rng, (2, *made[kind].tensors[name].shape)).astype(np.int8) for name in made[kind].inputs}
        made[kind] = record(made[kind], images, tmp_path_factory.mktemp("field") / kind)
    return made


def toml(folder, file, variant=None):
    """The kernel.toml of a C file, right or with a variant, in a copy of its folder."""
    kind = "conv" if file.startswith("conv") else "kernel"
    shutil.copy(FIELD / file, folder)
    text = (FIELD / f"{kind}.toml").read_text()
    source = "conv.c" if kind == "conv" else "matmul.c"
    text = text.replace(f'"{source}"', f'"{file}"' + (f', "-D{variant}"' if variant else ""))
    (folder / "device.toml").write_text(text)
    return folder / "device.toml"


@pytest.mark.parametrize("file", sorted({b["file"] for b in BUGS.values()}))
def test_right_kernels_pass(packs, tmp_path, file):
    """Without a variant every kernel is right, and has no cause."""
    report = verify_kernel(packs["conv" if file.startswith("conv") else "matmul"], toml(tmp_path, file))
    assert report.passed and not report.diagnoses


def test_wrong_kernels_get_their_cause(packs, tmp_path, monkeypatch):
    """Each wrong kernel fails; a cause that is named is the bug; and at least 70 % get one."""
    monkeypatch.setattr(diagnose, "WORK", 20_000)           # two mistakes at a time: few of these bugs are
    outcome, strays = Counter(), []
    for name, bug in BUGS.items():
        if name in UNSEEN:
            continue
        report = verify_kernel(packs["conv" if bug["file"].startswith("conv") else "matmul"], toml(tmp_path, bug["file"], name))
        assert not report.passed, name
        named = [d for d in report.diagnoses if hasattr(d, "causes")]
        causes = [c.name for d in named for c in d.causes]
        sure = [c for d in named for c in d.causes if d.wrong >= diagnose.FEW]
        unwritten = [line for d in report.diagnoses if d not in named for line in d.lines()]
        right = name in CAUSES and any(re.search(CAUSES[name], c) for c in [*causes, *unwritten])
        outcome["right" if right else "wrong" if sure else "unknown"] += 1
        if sure and not right:
            strays.append(f"{name}: {causes}")
    print(f"{dict(outcome)} of {len(BUGS)}")
    assert not strays
    assert outcome["right"] >= SHARE * len(BUGS)
