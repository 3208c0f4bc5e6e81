"""Functions of 16-bit codes, by tables between whose entries lines are drawn: near the real ones under every reading."""
import numpy as np
import pytest

import refq
from refq.graph.canonical import canonical
from refq.graph.graph import Graph, Node


@pytest.mark.parametrize("dialect", ("tosa", "tflite"))
@pytest.mark.parametrize("op, real", [("Swish", lambda x: x / (1 + np.exp(-x))), ("Tanh", np.tanh)])
def test_a_product_behind_a_function_of_16_bits(dialect, op, real):
    """TOSA's tables give 7 bits of fraction more, which are rounded off before anything else reads them."""
    nodes = (Node("f", op, ("x",), ("f",)), Node("y", "Mul", ("f", "x"), ("y",)))
    network = canonical(Graph("net", {"x": (1, 50)}, ("y",), nodes, {}))
    x = np.random.default_rng(0).uniform(-4, 4, (20, 50))
    program = refq.quantize(network, x, "w8a16", dialect)
    y = program.decode(program.run(program.encode(x))["y"])
    assert np.abs(y - real(x) * x).max() < 0.02           # of 16: the last entry of a table clips, and the line to it with it
