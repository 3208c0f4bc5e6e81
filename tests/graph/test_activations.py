"""GELU in programs: one that reads the accumulators of the layer before it, and where it cannot."""
import numpy as np
import pytest

from refq import embedded
from refq.errors import IllFormed
from refq.graph.graph import Graph, Node
from refq.graph.quantize import quantize
from refq.ops import gelu_ibert
from tests import digits

RNG = np.random.default_rng(0)
W, B = RNG.normal(0, 0.3, (6, 8)), RNG.normal(0, 0.3, 6)


def network(*nodes, outputs=("y",)):
    shapes = {"x": (1, 4, 8)} | {name: (1, 4, 6) for n in nodes for name in n.outputs}
    return Graph("net", {"x": (1, 4, 8)}, outputs, nodes, {"w": W, "b": B}, shapes, (), (), {})


LINEAR, GELU = Node("fc", "Linear", ("x", "w", "b"), ("h",), {}), Node("gelu", "Gelu", ("h",), ("y",), {})
IMAGES = RNG.normal(0, 1, (64, 4, 8))


def made(net, **how):
    program = quantize(net, IMAGES, "int8", "ibert", **how)
    codes = program.encode(IMAGES)
    fast, slow = program.run(codes), program.run(codes, engine="spec")
    assert all(np.array_equal(fast[name], slow[name]) for name in program.outputs)
    return program, {name: program.decode(fast[name], name) if len(program.outputs) > 1 else program.decode(fast[name])
                     for name in program.outputs}


def meant():
    h = IMAGES @ W.T + B
    return h, gelu_ibert.real(h, 0, 1.0)


def test_it_reads_the_accumulators():
    """No code lies between the sums and GELU: a scale for each channel, and no rescale of the layer is left."""
    program, values = made(network(LINEAR, GELU))
    assert [(s.name, s.op) for s in program.steps] == [("fc", "matmul"), ("gelu", "gelu_ibert"),
                                                       ("gelu.rescale", "rescale_float64")]
    step = program.steps[1]
    assert step.inputs["q"] == "fc.acc" and step.scales["x"].shape == (6,) and "h" not in program.tensors
    assert np.abs(values["y"] - meant()[1]).max() < 0.08


def test_codes_that_others_read_are_made_and_raised():
    """Where the layer's codes leave the network or have other readers, GELU takes the codes, on a finer scale."""
    for net in (network(LINEAR, GELU, outputs=("h", "y")),
                network(LINEAR, GELU, Node("relu", "Relu", ("h",), ("z",), {}), outputs=("y", "z"))):
        program = quantize(net, IMAGES, "int8", "ibert")
        step = next(s for s in program.steps if s.op == "gelu_ibert")
        assert step.inputs["q"] == "h" and program.tensors["h"].width.bits in (8, 16)
        fast, slow = (program.run(program.encode(IMAGES[:8]), engine=e) for e in ("kernel", "spec"))
        assert np.array_equal(fast["y"], slow["y"])


def test_a_network_of_gelu_alone():
    program = quantize(Graph("net", {"h": (1, 4, 6)}, ("y",), (GELU,), {}, {"h": (1, 4, 6), "y": (1, 4, 6)}, (), (), {}),
                       meant()[0], "int8", "ibert")
    values = program.decode(program.run(program.encode(meant()[0]))["y"])
    assert np.abs(values - meant()[1]).max() < 0.06


def test_the_embedded_network_keeps_its_accuracy():
    """All 360 images under I-BERT's own operations: at least 350 right; and under I-ViT's TVM forms."""
    images, labels = embedded.as_input(embedded.images()), embedded.labels()
    for dialect in ("ibert", "ivit_tvm"):
        program = digits.program("int8", dialect)
        right = (program.decode(program.run(program.encode(images))[program.outputs[0]]).argmax(1) == labels).sum()
        assert right >= 350
        assert {s.op for s in program.steps} >= ({"gelu_ibert", "softmax_ibert", "layernorm_ibert"} if dialect == "ibert"
                                                 else {"shiftgelu_int32", "shiftmax", "ilayernorm_int32"})
        assert not any(role["borrowed"] for role in program.roles.values())


def test_a_scale_too_coarse_for_softmax_names_step_and_dialect():
    """Logits so far apart that -ln 2 has no code: refused when the program is built."""
    net = Graph("net", {"x": (1, 4, 8)}, ("y",), (Node("attention", "Softmax", ("x",), ("y",), {}),), {},
                {"x": (1, 4, 8), "y": (1, 4, 8)}, (), (), {})
    with pytest.raises(IllFormed, match="step attention under dialect ibert: .*no code for -0.6931") as refused:
        quantize(net, IMAGES * 100, "int8", "ibert")
    assert "\n" not in str(refused.value)
