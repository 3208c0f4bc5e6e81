"""Attention in programs: probabilities on every kind of grid, masks in every form, and what reads codes that it cannot."""
from dataclasses import replace

import numpy as np
import pytest

from refq import dialects, embedded, grids, recipes
from refq.errors import IllFormed
from refq.graph.attention import Mask
from refq.graph.calibrate import choose
from refq.graph.evaluate import evaluate
from refq.graph.graph import Graph, Node
from refq.graph.groups import Groups
from refq.graph.program import Program
from refq.graph.quantize import quantize
from refq.graph.store import load, program_hash, save
from refq.grids.affine import Affine
from refq.ints.width import I48
from refq.vectors.pack import read
from refq.vectors.record import record
from tests import digits, nets

KINDS = (("log2", 4), ("log_sqrt2", 5), ("adalog", 4), ("twin", 8))


def recipe(kind, bits):
    return replace(recipes.load("int8"), name=f"{kind}{bits}", probabilities=bits, probabilities_grid=kind)


def attending(mask=None, constants=None, shape=(2, 5, 4), inputs=None, after=()):
    """q k v, each a Linear of x (heads rows depth), the softmax of their product (with a mask), and what it mixes."""
    rng, (heads, rows, depth) = np.random.default_rng(2), shape
    nodes, held, shapes = [], dict(constants or {}), {"x": (1, *shape)} | (inputs or {})
    for name in "qkv":
        held |= {f"w{name}": rng.normal(size=(depth, depth)), f"b{name}": np.zeros(depth)}
        nodes.append(Node(name, "Linear", ("x", f"w{name}", f"b{name}"), (name,)))
    nodes += [Node("turn", "Transpose", ("v",), ("turned",), {"perm": (0, 1, 3, 2)}),
              Node("scores", "MatMul", ("q", "k"), ("logits",), {"alpha": depth ** -0.5, "transpose_b": True}),
              Node("softmax", "Softmax", ("logits", *(mask or ((), {}))[0]), ("shares",), (mask or ((), {}))[1]),
              Node("mix", "MatMul", ("shares", "turned"), ("mixed",), {"alpha": 1.0, "transpose_b": True}), *after]
    square, full = (1, heads, rows, rows), (1, *shape)
    shapes |= dict.fromkeys("qkv", full) | {"turned": (1, heads, depth, rows), "logits": square, "shares": square, "mixed": full}
    shapes |= {n.outputs[0]: (square if n.op == "Relu" else full) for n in after}
    return Graph("attending", {k: v for k, v in shapes.items() if k == "x" or k in (inputs or {})},
                 (after[-1].outputs[0] if after else "mixed",), tuple(nodes), held, shapes)


def images(shape=(2, 5, 4), count=6):
    return np.random.default_rng(1).normal(size=(count, *shape))


@pytest.mark.parametrize("kind, bits", KINDS)
def test_probabilities_lie_on_the_grid_that_the_recipe_says(kind, bits):
    """The embedded network, its attention on another kind of grid: kernels equal specs, the classes stay."""
    net, cal = digits.network(), digits.calibration(16)
    program = quantize(net, cal, recipe(kind, bits), "tosa")
    held = [t for t in program.tensors.values() if t.grid is not None and t.grid.kind == kind]
    used = {s.op for s in program.steps}
    assert held and all(t.width.bits == bits for t in held) and "recode" in used
    assert {"twin": "batch_matmul_twin", "log2": "batch_matmul_log2"}.get(kind, "batch_matmul_adalog") in used
    assert program.roles[f"batch_matmul_{kind}"]["borrowed"] == "refq"
    nets.both(program, digits.codes(program, 2))
    codes = program.encode(embedded.as_input(embedded.images()[:60]))
    right = (program.decode(program.run(codes)[program.outputs[0]]).argmax(1) == embedded.labels()[:60]).mean()
    assert right > 0.9


@pytest.mark.parametrize("dialect", ("ivit", "ort_x86", "dpu"))
def test_every_dialect_has_products_of_logarithms(dialect):
    """Softmaxes of units of their own and of the graph's grid; targets that hold powers of two."""
    program = quantize(attending(), images(), recipe("log2", 4), dialect)
    assert program.tensors["shares"].grid.kind == "log2"
    nets.both(program, program.encode(images()))


def test_programs_and_packs_keep_their_grids(tmp_path):
    """Saved and read again, with the same hash; recorded as a pack that is verified when it is read."""
    net = attending((("seen",), {"mask": "given"}), {"seen": np.eye(5)[None, None]})
    program = quantize(net, images(), recipe("twin", 8), "tosa")
    (tmp_path / "program").mkdir()
    save(program, tmp_path / "program")
    again = load(tmp_path / "program")
    assert program_hash(again) == program_hash(program) and again.tensors["shares"].grid.same(program.tensors["shares"].grid)
    record(program, program.encode(images(count=2)), tmp_path / "pack")
    pack = read(tmp_path / "pack")
    assert pack.manifest["tensors"]["shares"]["grid"]["kind"] == "twin"
    assert grids.from_description(pack.manifest["tensors"]["shares"]["grid"]).same(program.tensors["shares"].grid)


def shares(program, **inputs):
    """The probabilities that a run makes, decoded."""
    seen = {}
    program.run(inputs, watch=lambda step, name, array: seen.setdefault(name, array.copy()), threads=1)
    return program.tensors["shares"].grid.decode(seen["shares"])


@pytest.mark.parametrize("dialect", ("tosa", "ivit", "ort_x86"))
@pytest.mark.parametrize("kind, bits", (("affine", 8), ("log2", 4)))
def test_masks_hide_keys(dialect, kind, bits):
    """Hidden keys have a share of exactly 0, seen ones that of the float network; a query that sees none has none."""
    made = np.tri(5)
    made[3] = 0
    for mask, held, seen in (((), {}, np.tri(5)), (("m",), {"m": made}, made)):
        net = attending((mask, {"mask": "given" if mask else "causal"}), held)
        program = quantize(net, images(), recipe(kind, bits), dialect)
        nets.both(program, program.encode(images()))
        got = np.concatenate([shares(program, x=program.encode(images()[i:i + 1])) for i in range(2)])
        assert (got[..., seen == 0] == 0).all()
        exact = np.stack([evaluate_shares(net, image) for image in images()[:2]])
        assert np.abs(got - exact).max() < (0.4 if kind == "log2" else 0.06)
    assert (got[:, :, 3] == 0).all()


def evaluate_shares(net, image):
    found = {}
    evaluate(net, image[None], watch=lambda name, value: found.setdefault(name, value))
    return found["shares"][0]


def test_a_given_mask_that_is_causal_is_lowered_as_such():
    """Constants for what a loop does are not stored; a mask that hides nothing is none; heads may have masks of their own."""
    rng, given = np.random.default_rng(0), {"mask": "given"}
    own = (rng.random((1, 2, 5, 5)) < 0.7).astype(float)
    for held, form, shape in ((np.tri(5), "causal", None), (np.ones((5, 5)), None, None), (np.tri(5, k=1), "causal", None),
                              (1 - np.eye(5), "given", (1, 5, 5)), (own, "given", (2, 5, 5))):
        program = quantize(attending((("m",), given), {"m": held}), images(), "int8", "tosa")
        (step,) = [s for s in program.steps if s.name == "softmax"]
        assert (step.op == "softmax_masked" and step.row.mask == form) if form else step.op != "softmax_masked"
        assert shape is None or program.tensors[step.inputs["seen"]].shape == shape


def test_positions_are_the_causal_mask_one_row_at_a_time():
    """A run-time operand: the rows of the causal program at the positions 0, 1 ...; beyond the keys it is refused at the door."""
    causal = quantize(attending(((), {"mask": "causal"})), images(), "int8", "tosa")
    net = attending((("places",), {"mask": "positions"}), inputs={"places": (1, 5)})
    program = Program(*lowered_positions(net, causal))
    codes = causal.encode(images(count=2))
    places = np.tile(np.arange(5, dtype=np.int32), (2, 1))
    assert np.array_equal(program.run({"x": codes, "places": places})["mixed"], causal.run(codes)["mixed"])
    with pytest.raises(IllFormed, match="places"):
        program.run({"x": codes, "places": places + 1})


def lowered_positions(net, causal):
    """The program of `net` on the grids of another."""
    from refq.graph.lower import lower
    groups = Groups(net)
    held = {group: causal.tensors[name].grid for name, group in groups.of.items() if name in causal.tensors}
    made = lower(net, held, recipes.load("int8"), dialects.load("tosa"))
    return made.steps, made.tensors, made.constants, made.inputs, made.outputs, made.dialect, made.recipe


def test_logits_without_heads():
    """A product of two axes: the mask takes heads, of which there is one."""
    rng = np.random.default_rng(3)
    nodes = (Node("scores", "Linear", ("x", "w", "b"), ("logits",)),
             Node("softmax", "Softmax", ("logits",), ("shares",), {"mask": "causal"}),
             Node("mix", "Linear", ("shares", "u", "c"), ("y",)))
    net = Graph("flat", {"x": (1, 5, 4)}, ("y",), nodes, {"w": rng.normal(size=(5, 4)), "b": np.zeros(5),
                                                         "u": rng.normal(size=(3, 5)), "c": np.zeros(3)},
                {"x": (1, 5, 4), "logits": (1, 5, 5), "shares": (1, 5, 5), "y": (1, 5, 3)})
    for dialect in ("tosa", "ivit"):
        program = quantize(net, images((5, 4)), "int8", dialect)
        nets.both(program, program.encode(images((5, 4))))
        assert (np.triu(shares(program, x=program.encode(images((5, 4))[:1]))[0], 1) == 0).all()


def test_what_reads_no_logarithms_gets_affine_codes():
    """A product that has them on the right, or another node, reads them recoded; where more than moves makes them, they are not
    logarithms at all."""
    right = attending()
    nodes = tuple(Node("mix", "MatMul", ("turned", "shares"), ("mixed",), {"alpha": 1.0, "transpose_b": True})
                  if n.name == "mix" else n for n in right.nodes)
    right = Graph(right.name, right.inputs, right.outputs, nodes, right.constants, right.shapes | {"mixed": (1, 2, 4, 5)})
    program = quantize(right, images(), recipe("log2", 4), "tosa")
    assert [s.op for s in program.steps].count("recode") == 2 and "batch_matmul" in program.roles
    nets.both(program, program.encode(images()))
    cut = attending()
    nodes = tuple(replace(n, inputs=("cut", "turned")) if n.name == "mix" else n for n in cut.nodes)
    nodes = (*nodes[:-1], Node("relu", "Relu", ("shares",), ("cut",)), nodes[-1])
    cut = Graph(cut.name, cut.inputs, cut.outputs, nodes, cut.constants, cut.shapes | {"cut": (1, 2, 5, 5)})
    program = quantize(cut, images(), recipe("log2", 8), "tosa")
    assert isinstance(program.tensors["shares"].grid, Affine)


def test_accumulators_hold_what_is_shifted():
    """8-bit logarithms reach 2**-30: 48 bits, and a rescale for wide registers; what these do not hold is refused."""
    program = quantize(attending(), images(), recipe("log2", 8), "tosa")
    assert program.tensors["mix.acc"].width == I48
    with pytest.raises(IllFormed, match="mix.*register acc"):
        quantize(attending(shape=(1, 2000, 2)), images((1, 2000, 2), 1), recipe("log2", 8), "tosa")


def test_grids_chosen_before_give_way_to_the_recipe():
    """Affine grids of probabilities, as the embedded network has them, are replaced where the recipe says another kind."""
    held = choose(digits.network(), {g: (-1.0, 1.0) for g in Groups(digits.network()).role}, recipes.load("int8"),
                  dialects.load("tosa"))
    program = quantize(digits.network(), None, recipe("log2", 8), "tosa", held)
    assert any(t.grid is not None and t.grid.kind == "log2" for t in program.tensors.values())


def test_recipes_are_refused_by_a_sentence():
    for change, words in (({"probabilities_grid": "log3"}, "it is one of affine"),
                          ({"probabilities_grid": "twin", "probabilities": 16}, "3 to 8")):
        with pytest.raises(IllFormed, match=words):
            replace(recipes.load("int8"), **change)
    assert Mask("causal", offset=2).row == {"mask": "causal", "offset": 2}
