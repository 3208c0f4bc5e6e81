"""A line an element: operands, result and flags, as the operation itself says; what is not element-wise is refused."""
from fractions import Fraction

import numpy as np
import pytest

import refq
from refq import embedded
from refq.errors import Unsupported
from refq.graph.quantize import quantize
from refq.vectors.exchange.exported import export
from refq.vectors.exchange.formats.lines import words
from refq.vectors.record import record


def rows(path):
    return [line.split() for line in path.read_text().splitlines() if line[0] != "#"]


def signed(word, bits):
    value = int(word, 16)
    return value - (1 << bits) if value >> bits - 1 else value


def test_a_line_is_a_rescale(once, out):
    """Each line of a rescale that rounds once, recomputed with fractions: result, ties and saturations."""
    folder, index = out(once, "lines", unit="fc1.rescale")
    assert index["entries"][0]["column"] == 5 and index["entries"][0]["flags"] == {"tie": 1, "saturated": 2, "wrapped": 4}
    seen = 0
    for i in range(once.cases):
        file = folder / f"{i:04d}/fc1.rescale.txt"
        assert "# acc:i32 zin:i32 mult:i64 shift:i8 zp:i8 y:i8 flags" in file.read_text()
        lines = rows(file)
        assert len(lines) == 30
        for *texts, flags in lines:
            acc, zin, mult, shift, zp, y = map(signed, texts, (32, 32, 64, 8, 8, 8))
            exact = Fraction((acc - zin) * mult, 1 << shift)
            rounded = (exact + Fraction(1, 2)).__floor__() + zp
            assert y == min(max(rounded, -128), 127)
            assert int(flags) == (exact.denominator == 2) + 2 * (rounded != y)
            seen |= int(flags)
    assert seen == 2


def test_ties_are_flagged(cut, tmp_path, out):
    """A tie made by hand is flagged 1; a clip of codes has no flag, for its bounds are what it is for."""
    from refq import ops
    from refq.vectors.flags import flags
    row = ops.load("rescale").Row(high="none", ties="half_even")

    class step:                                     # what flags asks of one
        op, row = "rescale", ops.load("rescale").Row(high="none", ties="half_even")

    acc = np.array([[2, 3, 4, 600, -602]], np.int32)
    operands = [acc, 0, np.ones(5, np.int64), np.full(5, 2, np.int8), 0]
    assert flags(step, operands, (1, 5)).tolist() == [[1, 0, 0, 2, 3]] and row == step.row
    folder, _ = out(cut, "lines")
    assert rows(folder / "0000/cut.txt") == [["80", "9c", "5a", "9c", "0"], ["05", "9c", "5a", "05", "0"],
                                            ["7f", "9c", "5a", "5a", "0"]]


@pytest.mark.parametrize("dialect", ["tflite", "onnx"])
def test_every_element_wise_step(tmp_path, dialect):
    """All element-wise steps of a network go out, tables with their entries in the head, floats by their bits."""
    images = embedded.as_input(embedded.calibration()[:4])
    pack = record(quantize(refq.load(embedded.network()), images, "int8", dialect), images, tmp_path / "pack", cases=1)
    index = export(pack, "lines", tmp_path / "out")
    ops = {s["name"]: s["op"] for s in index["steps"]}
    makers = {name: step for step in pack.program.steps for name in step.outputs.values()}
    assert {ops[makers[e["tensor"]].name] for e in index["entries"]} >= {"table", "clip"} & set(ops.values())
    case = pack.case(0)
    for entry in index["entries"]:
        lines = rows(tmp_path / "out" / entry["file"])
        tensor = pack.program.tensors[entry["tensor"]]
        assert [line[entry["column"]] for line in lines] == words(case[entry["tensor"]], tensor.width)
        step = makers[entry["tensor"]]
        if step.op == "table":
            head = (tmp_path / "out" / entry["file"]).read_text().splitlines()[1]
            (operand,) = (o for o, d in step.row.takes.items() if d.names == ("i",))
            table = words(pack.program.constants[step.inputs[operand]], step.row.takes[operand].width)
            assert head == f"# {operand}:{step.row.takes[operand].width} = {' '.join(table)}"
            assert all(table[(int(q, 16) ^ 128) & 255] == y for q, y, _ in lines)


def test_refused_by_name(once, tmp_path):
    """A product of sums has no line an element."""
    with pytest.raises(Unsupported, match=r"step fc1 \(matmul\) makes an element of many"):
        export(once, "lines", tmp_path / "new", unit="fc1,fc1.rescale")
    with pytest.raises(Unsupported, match=r"step argmax \(argmax\)"):
        export(once, "lines", tmp_path / "new", unit="argmax")
    assert not (tmp_path / "new").exists()
