"""The simulation that tools/bench/accuracy.py compares with computes what the program means, up to one rounding a step."""
from math import erf, sqrt

import numpy as np
import pytest

from refq import embedded
from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.graph.graph import Graph, Node
from refq.graph.quantize import quantize
from refq.load.network import load
from tools.bench.simulate import FORMULAS, Walk, gelu, meaning, simulate

DIALECTS = "ivit", "onnx", "tflite", "tosa"


@pytest.fixture(scope="module")
def digits():
    """The embedded network, and eight of its images."""
    return load(embedded.network()), embedded.as_input(embedded.images()[:8])


def convolutional():
    """Two convolutions, a ReLU, a pad, a mean and a product with weights, drawn."""
    draw = np.random.default_rng(3).standard_normal
    nodes = (Node("first", "Conv", ("image", "w1", "b1"), ("a",), {"strides": (2, 2), "pads": (1, 1, 1, 1)}),
             Node("relu", "Relu", ("a",), ("b",)),
             Node("second", "Conv", ("b", "w2"), ("c",), {"group": 3}),
             Node("mean", "GlobalAveragePool", ("c",), ("d",)),
             Node("flat", "Flatten", ("d",), ("e",)),
             Node("head", "Gemm", ("e", "w3", "b3"), ("logits",), {"transB": 1}))
    constants = {"w1": draw((6, 2, 3, 3)), "b1": draw(6), "w2": draw((9, 2, 2, 2)), "w3": draw((5, 9)), "b3": draw(5)}
    return canonical(Graph("convolutional", {"image": (1, 2, 9, 9)}, ("logits",), nodes, constants))


def far(program, images):
    """By operation: the largest distance in codes between a step of the program and the simulated step on the same input."""
    found = {}
    for image in images[:, None]:
        walk, codes = Walk(program, image), program.encode(image)
        live = {program.inputs[0]: meaning(program.tensors[program.inputs[0]].grid, codes)}

        def step_alone(step, name, codes, walk=walk, live=live):
            grid = program.tensors[name].grid
            walk.live = {n: live[n] for n in step.inputs.values() if n in live}
            walk.run(step)
            live[name] = meaning(grid, codes) if grid else codes
            off = np.abs((walk.live[name] - live[name]) / (grid.scale if grid else 1)).max()
            found[step.op] = max(found.get(step.op, 0), off)

        program.run(codes, watch=step_alone)
    return found


def one_code(found):
    """Sums and moves are the same; what rounds differs by less than a code more than its own rounding."""
    rounded = {"rescale", "rescale_float32", "add", "add_float32", "average_pool"}
    return all(off < (1.001 if op in rounded else 1e-6) for op, off in found.items())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_step_is_within_one_code(digits, dialect):
    """Of the embedded network: each step alone, on the integer program's own input."""
    network, images = digits
    found = far(quantize(network, images, "int8", dialect), images)
    assert {"matmul", "batch_matmul", "ilayernorm", "conv2d", "arrange"} <= set(found)
    assert one_code(found), found


def test_convolutions_and_means_too():
    """Groups, padding, ReLU and the division by a count."""
    images = np.random.default_rng(4).standard_normal((3, 2, 9, 9))
    found = far(quantize(convolutional(), images), images)
    assert {"conv2d", "clip", "average_pool", "matmul"} <= set(found)
    assert one_code(found), found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_small_network_stays_within_a_few_codes(dialect):
    """Walked as a whole, the simulation of a tiny program is the integer program within one 16-bit code in a hundred."""
    images = np.random.default_rng(4).standard_normal((3, 2, 9, 9))
    program = quantize(convolutional(), images, "w8a16", dialect)
    logits = program.decode(program.run(program.encode(images))[program.outputs[0]])
    assert np.abs(simulate(program, images) - logits).max() <= 100 * float(program.tensors["logits"].grid.scale)


def test_real_functions_take_the_place_of_formulas(digits):
    """With `exact` the logits come nearer to the float network's, and the images keep their class."""
    network, images = digits
    program = quantize(network, embedded.as_input(embedded.calibration()[:64]), "w8a16", "ivit")
    formula, exact = simulate(program, images), simulate(program, images, exact=FORMULAS)
    true = evaluate(network, images)[network.outputs[0]]
    assert np.abs(exact - true).max() < np.abs(formula - true).max()
    assert (exact.argmax(1) == true.argmax(1)).all()


def test_the_real_gelu_is_near_enough():
    """Its erf is good to 2e-7."""
    x = np.linspace(-8, 8, 1001)
    true = [v * (1 + erf(v / sqrt(2))) / 2 for v in x]
    np.testing.assert_allclose(gelu(x), true, rtol=0, atol=1e-6)
