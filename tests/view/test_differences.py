"""differences: what two dialects do otherwise, with an input for each field that is run here again."""
import json
import re

import numpy as np
import pytest

from refq import dialects
from refq.graph.play import play
from refq.ints.width import I8, I32
from refq.view.differences import differences
from refq.view.differences.lines import text


def found(a, b):
    return {(d.role, d.field): d for d in differences(dialects.load(a), dialects.load(b))}


def test_a_dialect_does_not_differ_from_itself():
    assert not found("tosa", "tosa")
    assert text(dialects.load("tosa"), dialects.load("tosa"), []).startswith("tosa and tosa do not differ")


def test_the_witness_of_a_field_is_an_input_on_which_it_shows():
    """TFLite's second rounding goes away from zero: -2 / 4 is -1, under TOSA 0; and the words say that input."""
    d = found("tflite", "tosa")["rescale", "ties"]
    assert (d.left, d.right) == ("half_away", "half_up")
    acc, left, right = map(int, re.match(r"acc (-?\d+), scales 2\*\*-2 .*: (-?\d+) and (-?\d+)$", d.witness).groups())
    assert (acc, left, right) == (-2, -1, 0)
    played = [play(dialects.load("tflite").role("rescale"), {"acc": I32, "out": I8}, {"acc": np.array([[acc]], np.int32)},
                   factors=(0.25,), unit=1.0, zin=0, zp=0).item()]
    assert played == [left]


def test_double_rounding_shows_on_two_in_a_thousand():
    """0.19 % of accumulators whose results fit 8 bits, by the researched figure; scales from 2**-14 to 2**-6."""
    assert 0.001 < found("tflite", "tosa")["rescale", "high"].share < 0.003


def test_another_operation_in_a_role_is_one_difference():
    d = found("tosa", "onnx")["rescale", "operation"]
    assert (d.left, d.right) == ("rescale", "rescale_float32") and d.witness.endswith("1 and 0")


def test_a_field_of_ones_own_shows(tmp_path):
    """The target of the README's example: pairs of products that saturate at 16 bits show on two products at the rails."""
    npu = tmp_path / "npu.toml"
    npu.write_text('base = "tflite"\n[matmul]\naccumulate = {order = "pairs", size = 1, overflow = "saturate", width = "i16", '
                   'spill = 1, into = "i32"}\n[table]\nties = "half_even"\n')
    made = found("tflite", str(npu))
    assert "3 products" in made["matmul", "accumulate"].witness or "2 products" in made["matmul", "accumulate"].witness
    assert made["table", "ties"].witness.startswith("code 1,")
    assert set(made) == {("matmul", "accumulate"), ("table", "ties")}


@pytest.mark.parametrize("name", ["ivit", "onnx", "tosa"])
def test_every_difference_has_a_witness_or_says_that_none_shows(name):
    for d in differences(dialects.load("tflite"), dialects.load(name)):
        assert d.witness or not d.role or d.field == "operation" or d.role in ("softmax", "mean", "dequantize"), d


def test_it_is_plain_data(tmp_path):
    from click.testing import CliRunner

    from refq.cli import main
    run = CliRunner().invoke(main, ["diff", "tflite", "tosa", "--json"])
    assert run.exit_code == 0 and {"role", "field", "witness"} <= set(json.loads(run.output)["differences"][1])
