"""An explanation is the whole hand calculation: every integer of it is right, ties and saturations are marked, and it says so
where a pack holds something else."""
import re

import numpy as np
import pytest
import small
from vectors.single import packed

import refq
from refq import embedded, ops
from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, I32
from refq.vectors.record import record
from refq.view.explain import explain
from refq.view.explain_html import LONG, page, write
from refq.view.explain_lines import text


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return record(small.program(), small.images(3), tmp_path_factory.mktemp("explained") / "pack")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A pack of the embedded network: operations of every kind."""
    images = embedded.as_input(embedded.calibration()[:8])
    program = refq.quantize(refq.load(embedded.network()), images, "int8", "tflite")
    return record(program, images, tmp_path_factory.mktemp("explained") / "digits", cases=1)


def test_every_step_of_a_network(digits):
    """One element of every step is explained, agrees with the pack, and has a text and a page."""
    codes, seen = digits.case(0), set()
    for name, step in digits.steps.items():
        index = [n // 2 for n in codes[name].shape]
        explanation = explain(digits, f"{step.name}{index}")
        assert explanation.agrees and explanation.parts[-1].value == codes[name][tuple(index)], step.name
        assert explanation.json()["value"] == explanation.parts[-1].value
        assert "the pack holds the same" in text(explanation) and "</html>" in page(explanation)
        seen.add(step.op)
    assert {"matmul", "batch_matmul", "conv2d", "rescale", "softmax_gemmlowp", "ilayernorm", "add", "table", "arrange"} <= seen


def test_the_sum_by_hand(pack):
    """Products and sums of a matmul, and the rescale behind it, equal what Python's integers give."""
    codes, constants = pack.case(1), pack.program.constants
    matmul, rescale = explain(pack, "hidden[2,4]", case=1).parts
    x, w = codes["x"][2].tolist(), constants["fc1.w"][4].tolist()
    zx, zw, total = int(constants["fc1.zx"]), int(constants["fc1.zw"][4]), int(constants["fc1.bias"][4])
    assert matmul.sum["rows"][0] == [None] * 6 + [total] and matmul.sum["marks"] == {0: "bias"}
    for k, row in enumerate(matmul.sum["rows"][1:]):
        total += (x[k] - zx) * (w[k] - zw)
        assert row == [k, x[k], x[k] - zx, w[k], w[k] - zw, (x[k] - zx) * (w[k] - zw), total]
    assert len(matmul.sum["rows"]) == 8 and matmul.value == total == codes["fc1.acc"][2, 4]
    assert [(p.step, p.index) for p in (matmul, rescale)] == [("fc1", (2, 4)), ("fc1.rescale", (2, 4))]
    wide = next(m for m in rescale.moments if m["site"] == "wide")
    assert wide["after"] == total * int(constants["fc1.rescale.mult"][4]) << max(31 - int(constants["fc1.rescale.shift"][4]), 0)


@pytest.mark.parametrize("acc,value,tie,saturated,bits,way", [
    (5, 3, True, False, "1", "a tie, exactly half: half_up goes up to 3"), (-5, -2, True, False, "1", "half_up goes up to -2"),
    (4, 2, False, False, "0", "exact"), (600, 127, False, True, "0", "exact")])
def test_ties_and_saturations(tmp_path, acc, value, tie, saturated, bits, way):
    """A tie is marked with the bits that it discards and where its word sends it; a saturation with what was lost."""
    row = ops.load("rescale").Row(high="none", multiplier="pow2")
    made = packed(tmp_path, "rescale", row, acc=[[acc]], zin=0, mult=[1], shift=[1], zp=0)
    explanation = explain(made, "one[0]")
    scaled, clip = explanation.parts[0].moments[1:]
    assert explanation.agrees and clip["after"] == value and clip["saturated"] == saturated
    assert scaled["tie"] == tie and scaled["discarded"] == bits and way in scaled["why"]
    assert ("TIE" in text(explanation)) == tie and ("<em class=tie>" in page(explanation)) == tie
    assert ("SATURATES  300 saturates at 127: i8 holds -128 to 127" in text(explanation)) == saturated


@pytest.mark.parametrize("rule", [
    Accumulate("pairs", 1, "saturate", I16, 2, I32), Accumulate("tiles", 3, "saturate", I16),
    Accumulate("sequential", 1, "wrap", I16), Accumulate("pairs", 2, "saturate", I16), Accumulate("exact", 1, "wrap", I16)])
def test_declared_orders(tmp_path, rule):
    """Where products join in pairs or tiles, saturate, wrap or spill, the running sums are those of the register, and marked."""
    k = 10
    x, w = np.full((1, k), 127), np.where(np.arange(k) < 7, 127, -128)[None]
    row = ops.load("matmul").Row(acc=rule.result, accumulate=rule)
    made = packed(tmp_path, "matmul", row, x=x, w=w, bias=[5], zx=0, zw=[0])
    explanation = explain(made, "one[0]")
    told = explanation.parts[0].sum
    assert explanation.agrees and sorted(r[0] for r in told["rows"][1:]) == list(range(k))
    assert [r[5] for r in sorted(told["rows"][1:], key=lambda r: r[0])] == (x * w)[0].tolist()
    if rule.overflow == "saturate":
        assert any("saturates at i16" in mark for mark in told["marks"].values())
    if rule.order == "sequential":
        sums = np.cumsum((x * w)[0]) + 5
        assert [r[-1] for r in told["rows"][1:]] == I16.wrap(sums).tolist()
    if rule.spill:
        assert any("spilled" in mark for mark in told["marks"].values())


def test_padding_is_named(tmp_path):
    """Under the corner of a padded image the places outside read the zero point, and say so."""
    row = ops.load("conv2d").Row(padding=(1, 1, 1, 1))
    image = np.arange(9).reshape(1, 3, 3, 1)
    made = packed(tmp_path, "conv2d", row, x=image, w=np.ones((1, 3, 3, 1)), bias=[0], zx=2, zw=[0])
    part = explain(made, "one[0,0,0]").parts[0]
    outside = {i for i, mark in part.sum["marks"].items() if mark == "padding"}
    assert outside == {1, 2, 3, 4, 7} and all(part.sum["rows"][i][5] == 0 for i in outside)
    assert part.value == sum(int(v) - 2 for v in (0, 1, 3, 4))


def test_long_sums_fold(tmp_path):
    """768 products: all of them in the text and in the page, there folded; nothing comes from outside, nothing runs."""
    draw = np.random.default_rng(0)
    made = packed(tmp_path, "matmul", ops.load("matmul").Row(), x=draw.integers(-128, 128, (1, 768)),
                  w=draw.integers(-128, 128, (2, 768)), bias=[7, 8], zx=3, zw=[0, 0])
    explanation = explain(made, "one[1]")
    write(explanation, tmp_path / "page.html")
    said = (tmp_path / "page.html").read_text()
    whole = said[said.index("<details>"):said.index("</details>")]
    assert whole.count("<tr") == 770 and len(said[:said.index("<details>")].split("<table class=sum>")[1].split("<tr")) < LONG
    assert not re.search(r"<script|src=|url\(|https?:|@import", said)
    assert sum(bool(re.match(r" +\d+ +-?\d+ +-?\d+ ", line)) for line in text(explanation).splitlines()) == 768
    assert list(tmp_path.glob(".page*")) == []


def test_another_code_in_the_pack(pack, monkeypatch):
    """What is explained is computed; where the pack holds something else the explanation says so."""
    right = type(pack).case
    monkeypatch.setattr(type(pack), "case", lambda self, i: right(self, i) | {"hidden": right(self, i)["hidden"] ^ 1})
    explanation = explain(pack, "hidden[0,0]")
    held = right(pack, 0)["hidden"][0, 0] ^ 1
    assert not explanation.agrees and f"THE PACK HOLDS {held} at hidden[0, 0]" in text(explanation)


def test_how_far_back(pack):
    """By default the calculation starts from codes; `back` says otherwise."""
    assert [p.step for p in explain(pack, "logits[0,1]").parts] == ["fc2", "fc2.rescale"]
    assert [p.step for p in explain(pack, "logits[0,1]", back=0).parts] == ["fc2.rescale"]
    assert [p.step for p in explain(pack, "top[3]").parts] == ["argmax"]


@pytest.mark.parametrize("place,sentence", [
    ("hiden[0,0]", "did you mean hidden"), ("hidden", r"write hidden\[0, 0\]"), ("hidden[0]", r"shape \(5, 6\)"),
    ("hidden[5,0]", r"shape \(5, 6\)"), ("hidden[-1,0]", r"shape \(5, 6\)"), ("hidden[0,-]", r"shape \(5, 6\)"),
    ("x[0,0]", "is given, not computed"), ("fc1.w[0,0]", "is given, not computed")])
def test_places_that_are_not_there(pack, place, sentence):
    with pytest.raises(IllFormed, match=sentence):
        explain(pack, place)


def test_a_case_that_is_not_there(pack):
    with pytest.raises(IllFormed, match="cases 0 to 2"):
        explain(pack, "hidden[0,0]", case=3)


def test_a_mean_is_summed_by_hand(tmp_path):
    """Every code of a mean's row, less its zero point, with the sum so far."""
    made = packed(tmp_path, "mean", ops.load("mean").Row(), q=[[[1, 9], [-4, 9], [7, 9]]], zq=2)
    part = explain(made, "one[0]").parts[0]
    assert part.sum["rows"] == [[0, 1, -1, -1], [1, -4, -6, -7], [2, 7, 5, -2]] and part.value == part.recorded == -2


@pytest.mark.parametrize("op, name", [
    ("matmul_packed", "agile_quant_s4u4_borrow"), ("matmul_packed", "agile_quant_s4u4_bias"),
    ("matmul_packed", "four_int4_in_64"),
    ("matmul_ulppack", "ulppack2_w4a4"), ("matmul_dsp48", "dsp48_int4x4_full")])
def test_words_of_several_codes(tmp_path, op, name):
    """Every word has a line with the codes in it and what its fields hold, none of its sites comes again, and the hand
    calculation behind them is right."""
    row, generator = ops.published(op)[name], np.random.default_rng(0)
    x, w = (row.takes[key] for key in "xw")
    codes = {"x": generator.integers(x.lo, x.hi, (2, 3, 7)[-len(x.names):], endpoint=True),
             "w": generator.integers(w.lo, w.hi, (5, 7), endpoint=True)}
    made = packed(tmp_path, op, row, **codes, bias=[9, -3, 2, 0, 4], zx=1, zw=[1, 2, 0, 3, 1])
    explanation = explain(made, "one[2, 3]" if op == "matmul_dsp48" else "one[3]", case=1)
    part, said = explanation.parts[0], text(explanation)
    assert explanation.agrees and "</html>" in page(explanation) and "product[" not in said
    assert len(part.sum["rows"]) == (4 if op == "matmul_ulppack" else 7)
    taken = {m["site"]: m["after"] for m in part.moments}
    total = taken["total"] if "total" in taken else None
    for sign, site, value in part.sum["then"]:
        total = taken[site] if sign == "this" else total + (value if sign == "+" else -value)
    assert total == part.value


def test_fields_of_packed_words(tmp_path):
    """-4 and 2 in one word times 15 are -60 and 30 in its product; a word is shown in the digits of its register."""
    made = packed(tmp_path, "matmul_packed", ops.published("matmul_packed")["agile_quant_s4u4_borrow"], x=[[15]], w=[[-4], [2]],
                  bias=[0, 0], zx=0, zw=[0, 0])
    explanation = explain(made, "one[1]")
    told = explanation.parts[0].sum
    assert dict(zip(told["head"], told["rows"][0])) == {
        "k": 0, "x": 15, "w1": 2, "w0": -4, "packed": 508, "product": 7620, "p1": 30, "p0": -60, "spread": 1966020,
        "sum": 1966020, "s1": 30, "s0": -60}
    assert "01fc     1dc4  30  -60  001dffc4" in text(explanation)


def test_sums_of_stored_weights(tmp_path):
    """Of 2:4 weights those that are stored have a line, with the place of k that each selects."""
    made = packed(tmp_path, "matmul_two_four", ops.published("matmul_two_four")["s8"], x=[[5, 6, 7, 8]], values=[[3, -2]],
                  meta=[[1 | 3 << 2]], bias=[10], zx=1, zw=[0])
    told = explain(made, "one[0]").parts[0].sum
    assert told["head"] == ["e", "k", "x", "x-zx", "w", "w-zw", "product", "sum"]
    assert told["rows"] == [[None] * 7 + [10], [0, 1, 6, 5, 3, 3, 15, 25], [1, 3, 8, 7, -2, -2, -14, 11]]
