"""Kernels in C on packed words and sparse weights, written from the papers alone: the right ones pass the vectors of published
rows, and of every wrong one the cause is named."""
import re
import shutil

import pytest

from refq.vectors.draw import again
from refq.vectors.record import record
from tests.conftest import missing
from tests.kernels import judge

DRAWN = {"agile": ("matmul_packed:agile_quant_s4u4_borrow", (1, 8)), "ulppack": ("matmul_ulppack:ulppack2_w4a4", (0, 1)),
         "two_four": ("matmul_two_four:s8", (0, 3)), "blocks": ("matmul_blocks:qnnpack_1x4", (0, 1))}
"""Kernel to what it is judged by: a published row, and some of its configurations."""


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    if not shutil.which("gcc"):
        missing("gcc is not installed; apt-get install gcc brings it")
    folder, made = tmp_path_factory.mktemp("packs"), {}

    def of(kernel):
        if kernel not in made:
            chain, configurations = DRAWN[kernel]
            made[kernel] = record(*again(chain, "tflite", configurations), folder / kernel, cases=3)
        return made[kernel]

    return of


@pytest.mark.parametrize("kernel", DRAWN)
def test_right_ones_pass(tmp_path, pack, kernel):
    report, diagnosis = judge.judged("words", kernel, pack(kernel), tmp_path)
    assert report.passed and not report.faults and diagnosis is None and report.total > 50


@pytest.mark.parametrize("kernel,variant,about", judge.wrong("words"), ids=lambda v: v if isinstance(v, str) else "")
def test_of_wrong_ones_the_cause_is_named(tmp_path, pack, kernel, variant, about):
    report, diagnosis = judge.judged("words", kernel, pack(kernel), tmp_path, variant)
    assert not report.passed and not report.faults
    names = [cause.name for cause in diagnosis.causes]
    assert any(re.match(about["cause"], name) for name in names), names


def test_every_define_is_listed():
    for kernel in DRAWN:
        source = (judge.HERE / "words" / f"{kernel}.c").read_text()
        listed = {variant for of, variant, _ in judge.wrong("words") if of == kernel}
        assert set(re.findall(r"(?:defined|#ifdef|#ifndef) (\w+)", source)) == listed
