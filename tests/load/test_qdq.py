"""Export to QDQ form: read back it is the same program, whatever form the file came in; onnxruntime loads and runs it."""
import numpy as np
import onnx
import pytest
from load.quantized_models import integer, parts, qdq, qgemm, qonnx, written

import refq
from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical
from refq.graph.graph import Graph, Node
from refq.graph.store import program_hash
from refq.grids.affine import Affine
from refq.ints.width import I4, I8, I16, U8, Width
from refq.load.qdq import model_of, write


@pytest.mark.parametrize("form", [qdq, qgemm, qonnx, integer], ids=lambda f: f.__name__)
def test_read_back_it_is_the_same_program(tmp_path, form):
    network = refq.load(written(tmp_path, form))
    write(network, tmp_path / "again.onnx")
    again = refq.load(tmp_path / "again.onnx")
    for dialect in ("onnx", "tosa"):
        assert program_hash(refq.quantize(again, dialect=dialect)) == program_hash(refq.quantize(network, dialect=dialect))


def everything():
    """A network of every kind of node that is written, with int4 weights, 16-bit codes, a requantization and an island."""
    rng = np.random.default_rng(0)

    def grid(scale, zero=0, width=I8, axis=None):
        return Affine(width, np.float32(scale), np.asarray(zero, np.int64), axis)

    def weight(*shape, axis=0, width=I8):
        g = grid(rng.uniform(0.01, 0.02, shape[axis]).astype(np.float32), np.zeros(shape[axis], np.int64), width, axis)
        return g.decode(rng.integers(width.lo, width.hi + 1, shape).astype(width.dtype)), g

    constants, grids = {}, {}
    for name, made in {"w1": weight(4, 2, 3, 3), "w2": weight(4, 3, 2, 2, axis=1), "w3": weight(5, 24, width=I4)}.items():
        constants[name], grids[name] = made
    constants |= {"b1": rng.standard_normal(4).astype(np.float32).astype(np.float64), "b2": np.zeros(3), "b3": np.zeros(5)}
    nodes = [("Conv", "x w1 b1", "c", {"pads": (1, 1, 1, 1)}), ("Relu", "c", "r", {}),
             ("AveragePool", "r", "a", {"kernel_shape": (2, 2), "pads": (1, 1, 0, 0), "count_include_pad": 1}),
             ("MaxPool", "a", "m", {"kernel_shape": (2, 2), "strides": (2, 2)}),
             ("ConvTranspose", "m w2 b2", "t", {"strides": (2, 2)}), ("Sigmoid", "t", "s", {}), ("Sub", "s t", "d", {}),
             ("Mul", "d d", "q", {}), ("Requantize", "q", "z", {}), ("ReduceMean", "z", "u", {"axes": (2,), "keepdims": 0}),
             ("Transpose", "u", "v", {"perm": (0, 2, 1)}), ("Reshape", "v", "f", {"shape": (1, 24)}),
             ("Linear", "f w3 b3", "l", {}),
             ("Clip", "l", "k", {"min": -1.0, "max": 6.0}), ("LeakyRelu", "k", "e", {"alpha": 0.125}), ("Exp", "e", "g", {}),
             ("Softmax", "g", "y", {})]
    shared = {"c": grid(0.1), "r": grid(0.05, -128), "a": grid(0.05, 3, U8), "m": grid(0.05, 3, U8), "t": grid(0.02, 0, I16),
              "s": grid(1 / 256, -128), "d": grid(0.02), "q": grid(0.01), "z": grid(0.02), "u": grid(0.01), "v": grid(0.01),
              "f": grid(0.01), "l": grid(0.05), "k": grid(0.05), "e": grid(0.05), "y": grid(1 / 256, 0, U8),
              "x": grid(0.05, 128, U8)}
    made = tuple(Node(out, op, tuple(ins.split()), (out,), a) for op, ins, out, a in nodes)
    return canonical(Graph("net", {"x": (1, 2, 8, 8)}, ("y",), made, constants, {}, (), (), grids | shared))


def test_every_kind_of_node_is_written_and_read(tmp_path):
    network = everything()
    write(network, tmp_path / "net.onnx")
    again = refq.load(tmp_path / "net.onnx")
    kinds = {n.op for n in network.nodes}
    assert {"Requantize", "ConvTranspose", "AveragePool", "Exp"} <= kinds and kinds == {n.op for n in again.nodes}
    one, other = (refq.quantize(n, dialect="tflite") for n in (network, again))
    assert program_hash(one) == program_hash(other) and one.left == other.left and one.left


def test_onnxruntime_runs_it(need, tmp_path):
    """What the runtime gives for an exported network is refq's, to one code: it computes more of it in float."""
    session = need("onnxruntime").InferenceSession
    network = everything()
    write(network, tmp_path / "net.onnx")
    images = np.random.default_rng(1).uniform(-6, 6, (20, 2, 8, 8)).astype(np.float32)
    (given,) = session(tmp_path / "net.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": images})
    program = refq.quantize(network, dialect="onnx")
    got = program.decode(program.run(program.encode(images))["y"])
    assert given.shape == got.shape == (20, 5) and np.abs(given - got).max() < 6 / 256


def test_weights_of_four_bits_are_stored_as_such(tmp_path):
    write(everything(), tmp_path / "net.onnx")
    stored = {t.name: t.data_type for t in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert stored["w3"] == onnx.TensorProto.INT4 and stored["w1"] == onnx.TensorProto.INT8 and stored["t_zero_point"] == \
        onnx.TensorProto.INT16


def test_what_cannot_be_written(tmp_path):
    """A float network, a name that is taken, codes that ONNX has no type for."""
    floats = canonical(Graph("net", {"x": (1, 4)}, ("y",), (Node("a", "Relu", ("x",), ("y",)),), {}))
    with pytest.raises(IllFormed, match="no grids"):
        model_of(floats)
    network = refq.load(written(tmp_path, qdq, parts()))
    with pytest.raises(IllFormed, match="is there already"):
        write(network, tmp_path / "layer.onnx")
    with pytest.raises(IllFormed, match="ends in .onnx"):
        write(network, tmp_path / "layer.txt")
    nodes = (Node("a", "Relu", ("x",), ("y",)),)
    fine = Affine(I8, np.float64(0.1), np.int64(0))
    network = canonical(Graph("net", {"x": (1, 4)}, ("y",), nodes, {}, {}, (), (), {"x": fine, "y": fine}))
    with pytest.raises(Unsupported, match="tensor x: scale 0.1 is no float32 number"):
        model_of(network)
    odd = Affine(Width(5), np.float64(0.5), np.int64(0))
    network = canonical(Graph("net", {"x": (1, 4)}, ("y",), nodes, {}, {}, (), (), {"x": odd, "y": odd}))
    with pytest.raises(Unsupported, match="codes of i5 have no type in ONNX"):
        model_of(network)
