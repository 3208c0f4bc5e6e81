"""The README's table of accuracy: figures of a program, refusals by number, and grids with factors as quantize gives them."""
import pytest

import refq
from refq import dialects, recipes
from refq.graph.describe import program_hash
from tools.bench import table
from tools.bench.accuracy import Bench
from tools.bench.sources import digits


@pytest.fixture(scope="module")
def bench():
    source = digits(8)
    source.calibration = source.calibration[:4]
    return Bench(source, 1)


def test_a_row_holds_figures_and_the_number_of_a_refusal(bench, monkeypatch):
    monkeypatch.setattr(table, "DIALECTS", ("tflite", "ibert"))
    monkeypatch.setattr(table, "RECIPES", {"w4a8": ("tflite", "ibert"), "int8": ("tflite",)})
    refusals = []
    first, worst, second = list(table.rows(bench, refusals, 1))[:3]
    assert first.startswith("| digits, 8, 100.0% | `w4a8` | ") and first.endswith(" | refused (1) |")
    assert worst.startswith("# digits, w4a8, tflite, dB: ") and second.endswith(" |  |")
    assert refusals == ["recipe w4a8 asks for weights of 4 bits, which dialect ibert forbids; it allows 8"]
    assert table.header().count("|") == 2 * (1 + 2 + 2)


def test_grids_are_those_that_quantize_chooses_factors_among_them(bench):
    recipe, dialect = recipes.load("fqvit"), dialects.load("fqvit")
    source = bench.source
    held = refq.quantize(source.network, None, recipe, dialect, bench.grids(recipe, dialect))
    chosen = refq.quantize(source.network, source.calibration, recipe, dialect)
    assert any(getattr(t.grid, "kind", "") == "channel_factors" for t in held.tensors.values())
    assert program_hash(held) == program_hash(chosen)
    bench.grids(recipe, dialects.load("packqvit"))
    assert len(bench.factors) == 1          # packqvit's LayerNorm is the same: the float network did not run again
