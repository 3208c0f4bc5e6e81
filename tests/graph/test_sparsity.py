"""Pruned networks in integers: masks before and behind the choice of grids, proved in the program; which layers; refusals."""
from dataclasses import replace

import numpy as np
import pytest
from load.drawn import Sketch, written
from nets import both
from networks import decoders

import refq
from refq import dialects, embedded
from refq.errors import IllFormed
from refq.graph import decode
from refq.graph.filed import play
from refq.graph.graph import Graph, Node
from refq.graph.store import program_hash
from refq.grids.affine import Affine
from refq.ints.width import I8, U8
from refq.load.network import load
from refq.pruners.mask import Mask, Masks, weights_of


@pytest.fixture(scope="module")
def network():
    return refq.load(embedded.network())


def images(count=8):
    return embedded.as_input(embedded.calibration()[:count])


def zeros(program, masks):
    """The codes at masked places minus the zero points of their channels, found without the code under test."""
    steps = {step.name: step for step in program.steps}
    for mask in masks.tensors.values():
        for layer in mask.layers:
            name = steps[layer].inputs["w"]
            codes, grid = program.constants[name].astype(np.int64), program.tensors[name].grid
            zero = grid.zero.reshape(-1, *(1,) * (codes.ndim - 1)) if grid.zero.ndim else grid.zero
            kept = np.moveaxis(mask.kept, 1, -1)                        # (m kh kw d); of a matrix it is the same
            yield (codes - zero)[~kept]


def held(program, masks):
    found = list(zeros(program, masks))
    assert sum(map(len, found)) == sum(m.pruned * len(m.layers) for m in masks.tensors.values())
    return all(not part.any() for part in found) and set(masks.hold(program).values()) == {None}


PAIRS = [("tflite", "int8"), ("ort_x86", "w4a8"), ("tosa", "w8a16"), ("fqvit", "fqvit"), ("vta", "int8")]


@pytest.mark.parametrize("dialect, recipe", PAIRS + [
    pytest.param(name, "int8", marks=pytest.mark.slow) for name in dialects.names() if (name, "int8") not in PAIRS])
def test_masked_codes_are_the_zero_point(network, dialect, recipe):
    """Before and behind the choice of grids; behind it all other codes, the biases and the grids are the dense network's."""
    try:
        dense = refq.quantize(network, images(), recipe, dialect)
    except IllFormed as e:
        pytest.skip(str(e))
    masks = refq.prune(network, "n_m", pattern="2:4")
    before = refq.quantize(masks.apply(network), images(), recipe, dialect)
    behind = refq.quantize(network, images(), recipe, dialect, masks=masks)
    assert held(before, masks) and held(behind, masks) and not held(dense, masks)
    for mask in masks.tensors.values():
        weight = f"{mask.layers[0]}.w"
        assert behind.tensors[weight].grid.same(dense.tensors[weight].grid)
        kept = np.moveaxis(mask.kept, 1, -1)
        assert (behind.constants[weight][kept] == dense.constants[weight][kept]).all()


def test_pruned_kernels_equal_their_specs(network):
    """Every step of a program pruned before, and of one pruned behind the choice of grids."""
    masks = refq.prune(network, "magnitude", sparsity=0.7)
    for program in (refq.quantize(masks.apply(network), images()), refq.quantize(network, images(), masks=masks)):
        assert held(program, masks)
        both(program, program.encode(images(2)))


def test_grids_before_are_of_what_is_left(network):
    """A pruned network's weights use all of their codes again; behind the choice of grids they need not."""
    masks = refq.prune(network, "n_m", ("*fc1",), pattern="1:4")
    flipped = Masks({name: Mask(~m.kept, "the largest go", m.layers) for name, m in masks.tensors.items()})
    name = "blocks.0.mlp.fc1.w"
    most = {when: np.abs(program.constants[name].astype(int)).max(1) for when, program in (
        ("before", refq.quantize(flipped.apply(network), images())),
        ("behind", refq.quantize(network, images(), masks=flipped)))}
    assert (most["before"] == 127).all() and (most["behind"] < 127).mean() > 0.9


@pytest.mark.parametrize("sparsity", [0, 1])
def test_all_and_nothing(network, sparsity):
    """Nothing masked is the dense program, to its hash; everything masked leaves a network of biases, which still runs."""
    masks = refq.prune(network, "magnitude", sparsity=sparsity)
    program = refq.quantize(network, images(), masks=masks)
    assert masks.pruned == sparsity * masks.count and held(program, masks)
    if not sparsity:
        assert program_hash(program) == program_hash(refq.quantize(network, images()))
    both(refq.quantize(masks.apply(network), images()), program.encode(images(2)))


def convolutional(folder):
    """Conv (3 channels in), batch norm and a depthwise Conv, then a Gemm that is not transposed, as exporters write them."""
    s = Sketch(17, np.float32)
    norm = [s.constant(f"norm.{i}", s.draw.uniform(0.5, 2, 8)) for i in range(4)]
    y = s.add("Conv", "images", s.weight("conv.weight", 8, 3, 3, 3), s.weight("conv.bias", 8), pads=[1, 1, 1, 1])
    y = s.add("Relu", s.add("BatchNormalization", y, *norm))
    y = s.add("Conv", y, s.weight("depth.weight", 8, 1, 3, 3), s.weight("depth.bias", 8), pads=[1, 1, 1, 1], group=8)
    y = s.add("Flatten", s.add("GlobalAveragePool", y))
    y = s.add("Gemm", y, s.weight("head.weight", 8, 10), s.weight("head.bias", 10))
    return refq.load(written(s.model(y), folder))


def test_masks_lie_on_the_canonical_weights(tmp_path):
    """Behind a folded batch norm, a depthwise filter, and a Gemm's transposition; convolutions in the order of their kernel."""
    network = convolutional(tmp_path)
    shapes = [np.shape(network.constants[name]) for name in weights_of(network)]
    assert shapes == [(8, 3, 3, 3), (8, 1, 3, 3), (10, 8)]
    x = np.random.default_rng(1).standard_normal((4, 3, 8, 8))
    for method, parameters in (("n_m", {"pattern": "2:4"}), ("n_m", {"pattern": "1:3", "axis": 2}),
                               ("block", {"pattern": "1x4", "sparsity": 0.5}), ("random", {"sparsity": 0.5})):
        try:
            masks = refq.prune(network, method, **parameters)
        except IllFormed as e:
            assert "and it has axes 0 to 1" in str(e)
            masks = refq.prune(network, method, ("*", "!" + list(weights_of(network).values())[-1][0]), **parameters)
        for program in (refq.quantize(masks.apply(network), x), refq.quantize(network, x, masks=masks)):
            assert held(program, masks)
            both(program, program.encode(x[:2]))


@pytest.mark.parametrize("width, zero", [(I8, 7), (I8, -128), (U8, 131), (U8, 0)])
@pytest.mark.parametrize("axis", [None, 0])
def test_zero_points_of_a_network_that_comes_quantized(width, zero, axis):
    """Weights on asymmetric grids, for one and for each channel: masked codes are their zero point, by either way the same."""
    draw, m, k = np.random.default_rng(0), 6, 8
    zeros_ = np.array(zero) if axis is None else np.clip(zero + np.arange(m), width.lo, width.hi)
    grid = Affine(width, np.full(zeros_.shape, 0.01), zeros_, axis)
    codes = draw.integers(width.lo, width.hi + 1, (m, k)).astype(width.dtype)
    grids = {"x": Affine(I8, np.float64(0.1), np.int64(3)), "w": grid, "y": Affine(I8, np.float64(0.2), np.int64(-5))}
    network = Graph("net", {"x": (1, 2, k)}, ("y",), (Node("fc", "Linear", ("x", "w", "b"), ("y",)),),
                    {"w": grid.decode(codes), "b": np.zeros(m)}, {"x": (1, 2, k), "y": (1, 2, m)}, grids=grids)
    masks = refq.prune(network, "n_m", pattern="2:4")
    programs = refq.quantize(network, dialect="ort_x86", masks=masks), play(masks.apply(network), dialects.load("ort_x86"))
    for program in programs:
        assert held(program, masks)
        assert (program.constants["fc.w"][masks["w"].kept] == codes[masks["w"].kept]).all()
        x = draw.integers(-128, 128, (3, 2, k)).astype(np.int8)
        both(program, x)
    assert program_hash(programs[0]) == program_hash(programs[1])


def test_layers_by_pattern(network):
    """Globs take layers, ! leaves some out, edges is the first and the last; what no layer matches is refused by name."""
    def taken(*patterns):
        return [m.layers[0] for m in refq.prune(network, "random", patterns, sparsity=0.5).tensors.values()]
    every = taken("*")
    assert len(every) == 18 and every[0] == "patch_embed.proj" and every[-1] == "head"
    assert taken("!edges") == every[1:-1] == taken("*", "!edges") and taken("edges") == [every[0], every[-1]]
    assert taken("blocks.1.*", "head") == [n for n in every if n.startswith("blocks.1") or n == "head"]
    assert taken("*", "!*.qkv", "blocks.0.attn.qkv") == [n for n in every if not n.endswith("qkv") or ".0." in n]
    assert list(refq.prune(network, "random", "head", sparsity=0.5)) == ["head.weight"]
    for patterns, said in (((), "layers: no pattern; give one"),
                           (("haed",), "no layer matches 'haed'; did you mean head"),
                           (("*", "!*"), "the patterns \\*, !\\* leave no layer")):
        with pytest.raises(IllFormed, match=said):
            refq.prune(network, "random", patterns, sparsity=0.5)


def tied():
    """A weight that two layers read, and one that something else reads too."""
    shapes = {"x": (1, 2, 4), "y": (1, 2, 4), "z": (1, 2, 4), "u": (1, 2, 4), "t": (1, 2, 4)}
    nodes = (Node("a", "Linear", ("x", "w", "b"), ("y",)), Node("b", "Linear", ("y", "w", "b"), ("z",)),
             Node("c", "Linear", ("z", "v", "b"), ("u",)), Node("d", "Mul", ("u", "v"), ("t",)))
    return Graph("tied", {"x": (1, 2, 4)}, ("t",), nodes, {"w": np.eye(4), "v": np.eye(4), "b": np.zeros(4)}, shapes)


def test_weights_that_are_shared():
    """Two layers of one weight have one mask, and go together; a weight that anything else reads is refused."""
    network = tied()
    masks = refq.prune(network, "magnitude", ("a", "b"), sparsity=0.5)
    assert masks["w"].layers == ("a", "b")
    with pytest.raises(IllFormed, match="tied: layer c reads 'v', which something else reads too; leave it out with '!c'"):
        refq.prune(network, "magnitude", sparsity=0.5)
    with pytest.raises(IllFormed, match="tied: 'w' is the weight of a, b; take all of them or none"):
        refq.prune(network, "magnitude", "a", sparsity=0.5)
    with pytest.raises(IllFormed, match=r"tied: 'v' has a mask, and node d \(Mul\) reads it; only weights that"):
        Masks({"v": Mask(np.eye(4, dtype=bool), "x")}).apply(network)


@pytest.mark.parametrize("changed, said", [
    ({"head.weight": (10, 63)}, r"digits: weight 'head.weight' is \(10, 64\), its mask \(10, 63\); the masks are another"),
    ({"head.weigth": (10, 64)}, "digits: has no weight 'head.weigth', for which there is a mask; the masks are another "
                                "network's: did you mean head.weight"),
    ({"head.bias": (10,)}, r"digits: 'head.bias' has a mask, and node head \(Linear\) reads it; only weights"),
    ({"blocks.0.norm1.weight": (64,)}, r"digits: 'blocks.0.norm1.weight' has a mask, and node blocks.0.norm1 \(Layer"),
])
def test_masks_of_another_network(network, changed, said):
    """Refused naming the network and the tensor, by either way of applying them."""
    masks = Masks({name: Mask(np.ones(shape, bool), "x") for name, shape in changed.items()})
    for apply in (lambda: masks.apply(network), lambda: refq.quantize(network, images(), masks=masks)):
        with pytest.raises(IllFormed, match=said):
            apply()
    with pytest.raises(IllFormed, match="^masks of type dict; give what refq.prune or refq.pruners.mask.load gives$"):
        refq.quantize(network, images(), masks=dict(masks.tensors))


def test_proofs_name_the_first_place_that_breaks(network):
    """The step, the place and its code; a step that is not there, and one of another shape."""
    masks = refq.prune(network, "n_m", ("head",), pattern="2:4")
    program = refq.quantize(network, images(), masks=masks)
    assert masks.hold(program) == {"head.weight": None}
    codes = program.constants["head.w"].copy()
    at = tuple(np.argwhere(~masks["head.weight"].kept)[5].tolist())
    codes[at] = 1
    spoiled = replace(program, constants=program.constants | {"head.w": codes})
    assert masks.hold(spoiled) == {"head.weight": f"step head: head.w{list(at)} is masked, and its code 1 does not stand for 0 "
                                                  "(1 such)"}
    for layers, kept, said in ((("neck",), masks["head.weight"].kept,
                                "step neck: there is none with weights of that name in integers"),
                               (("head",), np.ones((2, 2), bool), "step head: its weights are (10, 64), the mask (2, 2)"),
                               ((), masks["head.weight"].kept, "no layer is known that reads w")):
        assert Masks({"w": Mask(kept, "x", layers)}).hold(program) == {"w": said}


def test_nothing_is_changed(network):
    """The network that is pruned stays as it was; only the masked weights of the new one are other ones."""
    before = {name: np.array(value) for name, value in network.constants.items()}
    masks = refq.prune(network, "n_m", pattern="2:4")
    pruned = masks.apply(network)
    assert all((network.constants[name] == value).all() for name, value in before.items())
    for name, value in pruned.constants.items():
        kept = masks[name].kept if name in masks else True
        assert (value == np.where(kept, before[name], 0)).all()
    assert masks.apply(pruned).constants.keys() == pruned.constants.keys()


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_decoder_beside_a_cache_is_pruned_too(tmp_path, when):
    """The program of single tokens has the weights of the pruned network, and gives the bits of the whole."""
    network = load(decoders.written(tmp_path / "model", max_position_embeddings=5))
    masks = refq.prune(network, "n_m", ("*", "!edges"), pattern="2:4")
    given = masks.apply(network) if when == "before" else network
    extra = {} if when == "before" else {"masks": masks}
    program = refq.quantize(given, decoders.tokens(6, 5, 3), "int8", "tflite", **extra)
    decoder = decode.decoder(given, program, **extra)
    assert held(program, masks) and held(decoder, masks)
    tokens = decoders.tokens(1, 5)
    whole, caches = program.run(program.encode(tokens))[program.outputs[0]], decode.empty(decoder, 1)
    for at in range(5):
        logits, caches = decode.step(decoder, tokens[:, at:at + 1], at, caches)
        assert np.array_equal(logits, whole[:, at:at + 1])


def test_weights_that_are_not_finite(network):
    """The tensor is named."""
    broken = replace(network, constants=network.constants | {"head.weight": np.full((10, 64), np.nan)})
    with pytest.raises(IllFormed, match="^head.weight: its weights hold NaN; mend them before they are pruned$"):
        refq.prune(broken, "magnitude", sparsity=0.5)
    with pytest.raises(IllFormed, match="^a network of type str; give what refq.load gives$"):
        refq.prune("digits", "magnitude", sparsity=0.5)
