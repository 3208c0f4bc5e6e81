"""Extremes: the exact ends of every sum and of its partial sums against all inputs, and operands that attain them."""
from dataclasses import replace
from itertools import product

import digits
import numpy as np
import pytest
import small
from click.testing import CliRunner

from refq import dialects
from refq.cli.commands.bounds import command
from refq.errors import IllFormed
from refq.graph import reductions
from refq.graph.bounds import bounds
from refq.graph.extremes import extremes, reaches, witnesses
from refq.graph.program import Program, Step, Tensor
from refq.ints.accumulate import Accumulate
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I32, U4, Width
from refq.ops import batch_matmul, clip, conv2d, ilayernorm, matmul, mean, shiftmax

I3 = Width(3)


def tiny(op, row, shapes, constants, result=(1, 2)):
    """A program of one step; `shapes`: live operands, `constants`: the others."""
    tensors = {k: Tensor(k, s, row.takes[k].width, None, "input") for k, s in shapes.items()}
    codes = {k: np.array(v, row.takes[k].width.dtype) for k, v in constants.items()}
    tensors |= {k: Tensor(k, c.shape, row.takes[k].width, None, "parameter") for k, c in codes.items()}
    tensors["acc"] = Tensor("acc", result, row.acc, None, "accumulator")
    step = Step("s", op, row, {k: k for k in row.takes}, {"acc": "acc"})
    return Program((step,), tensors, codes, tuple(shapes), ("acc",), "", "")


class Seen(Sites):
    """The least and greatest value of each register."""

    def __init__(self):
        self.ends = {}

    def __call__(self, name, value, width):
        lo, hi = self.ends.get(name, (value, value))
        self.ends[name] = np.minimum(lo, np.asarray(value).min(0)), np.maximum(hi, np.asarray(value).max(0))
        return value


ORDERS = (None, Accumulate(), Accumulate(order="sequential"), Accumulate(order="pairs", size=2),
          Accumulate(order="tiles", size=2), Accumulate(order="sequential", spill=2), Accumulate(order="tiles", size=3, spill=1))


@pytest.mark.parametrize("rule", ORDERS, ids=str)
def test_every_register_against_all_inputs(rule):
    """Four activations of 3 bits, all 4,096 of them: each register, in its declared order, reaches what is said."""
    row = matmul.Row(x=I3, w=Width(4), accumulate=rule)
    w, bias = [[3, -8, 7, -1], [-5, 0, -7, 2], [7, 7, 7, 7]], [10, -4, 0]
    program = tiny("matmul", row, {"x": (1, 4)}, {"w": w, "bias": bias, "zx": 1, "zw": [0, 2, 0]}, (1, 3))
    x, seen = np.array(list(product(range(-4, 4), repeat=4))), Seen()
    matmul.spec(x, *(program.constants[k] for k in ("w", "bias")), 1, program.constants["zw"], row=row, at=seen)
    for e in extremes(program):
        name = "partial" if rule is None and e.register == "partial" else e.register
        least, most = seen.ends[name]
        assert (e.least == least).all() and (e.most == most).all(), e.register
    found = [e.register for e in extremes(program)]
    assert "acc" in found and (rule is None or rule.order == "exact" or "partial" in found)
    assert (rule is not None and rule.spill > 0) == ("spilled" in found)


@pytest.mark.parametrize("zero", [-4, 0, 3])
def test_padding_counts(zero):
    """A convolution whose windows all reach into the padding: the best of them, by all images."""
    row = conv2d.Row(x=I3, w=Width(4), padding=(1, 1, 1, 1), stride=(2, 1))
    w = [[[[3], [-2], [1]], [[-8], [7], [5]], [[1], [-1], [2]]], [[[-3], [2], [-1]], [[4], [4], [4]], [[0], [0], [7]]]]
    program = tiny("conv2d", row, {"x": (2, 2, 1)}, {"w": w, "bias": [5, -5], "zx": zero, "zw": [0, 1]}, (1, 2, 2))
    x = np.array(list(product(range(-4, 4), repeat=4))).reshape(-1, 2, 2, 1)
    acc = conv2d.spec(x, program.constants["w"], program.constants["bias"], zero, program.constants["zw"], row=row)
    (e,) = extremes(program)
    assert (e.least == acc.min((0, 1, 2))).all() and (e.most == acc.max((0, 1, 2))).all()
    found = witnesses(program, "s")
    assert found["most"]["x"].shape == (2, 3, 3, 1) and found["least"]["place"].shape == (2, 2)


def test_products_of_activations_and_means():
    """Of two activations and of a mean: by all codes of each."""
    program = tiny("batch_matmul", batch_matmul.Row(x=I3, w=U4), {"x": (1, 1, 3), "w": (1, 1, 3)}, {"zx": -2, "zw": 5}, (1, 1, 1))
    (e,) = extremes(program)
    every = [(a + 2) * (b - 5) for a, b in product(range(-4, 4), range(16))]
    assert (e.lo, e.hi) == (3 * min(every), 3 * max(every))
    assert witnesses(program, "s")["most"]["w"].tolist() == [[15] * 3]
    program = tiny("mean", mean.Row(q=I3), {"q": (1, 5, 2)}, {"zq": -1})
    (e,) = extremes(program)
    assert (e.lo, e.hi, e.bits) == (-15, 20, 6) and witnesses(program, "s")["least"]["q"].tolist() == [[-4] * 5]


def test_a_step_before_narrows_the_codes():
    """Behind a clip only its codes count, and the report says so."""
    program = tiny("mean", mean.Row(q=I8), {"q": (1, 5, 2)}, {"zq": 0})
    row, constants = clip.Row(q=I8), {"lo": np.array(0, np.int8), "hi": np.array(50, np.int8)}
    tensors = program.tensors | {"raw": Tensor("raw", (1, 5, 2), I8, None, "input")}
    tensors |= {k: Tensor(k, (), I8, None, "parameter") for k in constants}
    step = Step("relu", "clip", row, {"q": "raw", "lo": "lo", "hi": "hi"}, {"y": "q"})
    program = replace(program, steps=(step, *program.steps), tensors=tensors, constants=program.constants | constants,
                      inputs=("raw",))
    (e,) = extremes(program)
    assert reaches(program)["q"] == (0, 50, "relu") and (e.lo, e.hi, e.source) == (0, 250, "0..50 by relu")


SIXTEEN = {"fbgemm_acc16", "fbgemm_avx2", "ort_avx2"}
"""Targets whose partial sums, or pairs of products, saturate at 16 bits."""


@pytest.mark.parametrize("recipe, dialect", [("int8", "tflite"), ("w4a8", "tosa")])
def test_within_what_was_proven(recipe, dialect):
    """Every sum of the embedded network lies within the bound that admitted it; what is seen lies within the extremes, and
    every witness attains its own when it is run."""
    program = digits.program(recipe, dialect)
    seen, _ = digits.watched(program, digits.codes(program, 2))
    proven = {(b.step, b.register): b for b in bounds(program)}
    every = list(extremes(program))
    found = [e for e in every if e.register == "acc"]
    assert len(found) > 20 and all(e.width == I32 and set(e.fails) <= SIXTEEN for e in found)
    assert {(e.op, e.register) for e in every if e not in found} >= {("ilayernorm", "total"), ("ilayernorm", "squares")}
    for e in found:
        (values,) = seen[next(s for s in program.steps if s.name == e.step).outputs["acc"]]
        bound = proven[e.step, "acc"]
        assert np.min(bound.lo) <= e.lo <= values.min() and values.max() <= e.hi <= np.max(bound.hi)
    for name in ("patch_embed.proj", "blocks.0.attn.logits", "blocks.0.mlp.fc2"):
        assert witnesses(program, name)


def test_a_dialect_whose_register_is_too_narrow(tmp_path):
    """An accumulator of 16 bits that saturates on the way, and one of 18: both are named, with the bits that would do."""
    path, pairs = tmp_path / "short.toml", tmp_path / "pairs.toml"
    path.write_text('base = "tosa"\n[accumulators]\n8 = "i17"\n16 = "i48"\n')
    pairs.write_text('base = "tosa"\n[matmul]\naccumulate = {order = "pairs", overflow = "saturate", width = "i16", spill = 2}\n')
    found = list(extremes(small.program(), (str(path), str(pairs), "tosa")))
    assert [sorted(e.fails) for e in found] == [["pairs", "short"]] * 2
    assert found[0].fails["short"] == "its acc of i17 would need 18 bits, and it refuses"
    assert "i16 would need 17 bits, and it saturates" in found[0].fails["pairs"]
    assert set(dialects.names()) & set(found[0].fails) == set()


def test_the_verb(tmp_path):
    """The table, JSON, and the file of witnesses; a float network without images is refused."""
    from refq.vectors.record import record
    pack = record(small.program(), small.images(2), tmp_path / "pack")
    out = tmp_path / "attained.npz"
    done = CliRunner().invoke(command, [str(pack.folder), "--witness", str(out)])
    assert done.exit_code == 0 and "2 registers, at most 18 bits needed" in done.output
    program, most = pack.program, np.load(out)["fc1.most.x"]
    assert most.dtype == np.int8 and most.shape == (small.HIDDEN, small.SHAPE[1])
    acc = matmul.spec(most, program.constants["fc1.w"], program.constants["fc1.bias"], 3, program.constants["fc1.zw"],
                      row=program.steps[0].row)
    assert (np.diag(acc) == next(extremes(program)).most).all() and I16.hi < acc.max()
    for args, said in (([str(pack.folder), "--recipe", "int8"], "which has its own"), (["net.onnx"], "no such file"),
                       ([str(pack.folder), "--witness", "x.npy"], "written as .npz")):
        assert isinstance(fault := CliRunner().invoke(command, args).exception, IllFormed) and said in str(fault)
    with pytest.raises(IllFormed, match="no step that sums"):
        witnesses(program, "argmax")


def rows_of(op, row, count, constants):
    """A program of one step that sums rows of `count` codes."""
    tensors = {"q": Tensor("q", (2, count), row.q, None, "input")}
    tensors |= {k: Tensor(k, np.shape(v), row.takes[k].width, None, "parameter") for k, v in constants.items()}
    (name, declared), = row.gives.items()
    tensors[name] = Tensor(name, (2, count), declared.width, None, "output")
    codes = {k: np.array(v, row.takes[k].width.dtype) for k, v in constants.items()}
    step = Step("s", op, row, {k: k for k in row.takes}, {name: name})
    return Program((step,), tensors, codes, ("q",), (name,), "", "")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_sums_of_rows(count):
    """A softmax's sum and a layer norm's total by all rows of 3 bits; its squares are at most what is proved, and reached within
    what a rounded mean can be off."""
    program = rows_of("shiftmax", shiftmax.Row(q=I3), count, {"x0": -5})
    (e,) = extremes(program, ())
    q = np.array(list(product(range(-4, 4), repeat=count)))
    at = reductions.Held()
    shiftmax.spec(q, -5, program.steps[0].row, at)
    assert (e.register, e.width, e.hi) == ("total", I32, count * 5 << 15) and at.ends["total"][1] == e.hi
    constants = {"beta": [0] * count, "sign": [1] * count, "down": [0] * count}
    program, at = rows_of("ilayernorm", ilayernorm.Row(q=I3), count, constants), reductions.Held()
    ilayernorm.spec(q, *(np.array(v) for v in constants.values()), program.steps[0].row, at)
    total, squares = extremes(program, ())
    assert (total.lo, total.hi) == (-4 * count, 3 * count) == at.ends["total"]
    assert at.ends["squares"][1] <= squares.hi and (count == 1 or "a row reaches" in squares.source)
    assert witnesses(program, "s")["most"]["q"].tolist() == [[3] * count]


def test_a_dialect_whose_softmax_has_a_narrow_sum(tmp_path):
    """It is named, with the bits that would do; the step's own dialect, too, where its rule loses bits."""
    path = tmp_path / "short.toml"
    path.write_text('base = "ivit"\n[softmax]\naccumulate = {order = "sequential", overflow = "saturate", width = "i16"}\n')
    (e,) = extremes(rows_of("shiftmax", shiftmax.Row(out=I16), 9, {"x0": -16}), (str(path), "ivit"))
    assert e.fails == {"short": "its sum_partial of i16 would need 24 bits"}
