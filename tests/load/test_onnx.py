"""Loading ONNX: values agree with onnxruntime, and every bad file is refused with a sentence that names what is
wrong."""
import numpy as np
import onnx
import pytest
from load.drawn import CLASSES, Sketch, vit, written
from onnx import TensorProto, helper, numpy_helper

from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.load.onnx import load

OPSETS = (13, 17, 18, 20, 22, 23)


def images(count=2, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, 8, 8))


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_a_loaded_graph_computes_what_onnxruntime_does(need, tmp_path, opset):
    """Original and canonical graph agree with onnxruntime to float32's precision, images one by one and together."""
    path = written(vit(opset, np.float32), tmp_path)
    session = need("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"images": images().astype(np.float32)})[0]
    graph = load(path)
    for form in (graph, canonical(graph)):
        got = evaluate(form, images().astype(np.float32))["logits"]
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("opset", OPSETS)
def test_the_batch_axis_becomes_one(tmp_path, opset):
    """A symbolic batch axis is one image, and all shapes follow."""
    graph = canonical(load(written(vit(opset), tmp_path)))
    assert graph.inputs == {"images": (1, 3, 8, 8)} and graph.shapes["logits"] == (1, CLASSES)
    assert all(shape[0] == 1 for shape in graph.shapes.values())


def test_weights_keep_their_names(tmp_path):
    """The steps of the canonical graph are called as the weights of the model are."""
    names = [node.name for node in canonical(load(written(vit(17), tmp_path))).nodes]
    assert {"patch", "blocks.0.attn.qkv", "blocks.1.fc2", "blocks.0.norm1", "head"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_fixed_batch_is_taken_out(tmp_path):
    """A model for four images loads for one, where the four can be told from other numbers."""
    s = Sketch()
    x = s.add("Reshape", "images", s.ints(4, 6, 32))
    cls = s.constant("cls", np.repeat(s.draw.standard_normal((1, 1, 32)), 4, axis=0))
    x = s.add("Concat", cls, x, axis=1)
    path = written(s.model(s.add("MatMul", x, s.weight("w", 32, 7)), (4, 3, 8, 8)), tmp_path)
    graph = load(path)
    assert graph.inputs == {"images": (1, 3, 8, 8)}
    assert evaluate(canonical(graph), images(3))["logits"].shape == (3, 7, 7)


def test_a_fixed_batch_that_is_woven_in_is_refused(tmp_path):
    """Where images of a batch meet each other, no single one can be run."""
    s = Sketch()
    x = s.add("Reshape", "images", s.ints(2, -1, 12))
    path = written(s.model(s.add("Softmax", x, axis=0), (4, 3, 8, 8)), tmp_path)
    with pytest.raises(IllFormed, match="batch of 4 images"):
        load(path)


def test_local_functions_are_inlined(tmp_path):
    """A model's own function is replaced by its body."""
    s = Sketch()
    body = helper.make_function("mine", "twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])],
                                [helper.make_opsetid("", 17)])
    path = written(s.model(s.add("twice", "images", domain="mine"), extra=[helper.make_opsetid("mine", 1)],
                           functions=[body]), tmp_path)
    assert np.array_equal(evaluate(load(path), images())["logits"], 2 * images())


FUSED = {
    "Gelu": lambda s, x: s.add("Gelu", x, domain="com.microsoft"),
    "BiasGelu": lambda s, x: s.add("BiasGelu", x, s.weight("b", 8), domain="com.microsoft"),
    "FastGelu": lambda s, x: s.add("FastGelu", x, s.weight("b", 8), domain="com.microsoft"),
    "QuickGelu": lambda s, x: s.add("QuickGelu", x, alpha=1.5, domain="com.microsoft"),
    "FusedMatMul": lambda s, x: s.add("FusedMatMul", x, s.add("Tanh", x), alpha=0.5, transB=1, domain="com.microsoft"),
    "SkipLayerNormalization": lambda s, x: s.add("SkipLayerNormalization", x, s.add("Tanh", x), s.weight("g", 8),
                                                 s.weight("b", 8), s.weight("c", 8), epsilon=1e-3,
                                                 domain="com.microsoft"),
    "Attention": lambda s, x: s.add("Attention", x, s.weight("w", 8, 24), s.weight("b", 24), num_heads=2,
                                    domain="com.microsoft"),
    "MultiHeadAttention": lambda s, x: s.add("MultiHeadAttention", x, s.add("Tanh", x), s.add("Neg", x), num_heads=4,
                                             domain="com.microsoft"),
}


@pytest.mark.parametrize("op", FUSED)
def test_what_onnxruntime_fuses_is_taken_apart(need, tmp_path, op):
    """Operations of com.microsoft compute what onnxruntime does, before and in canonical form."""
    s = Sketch(17, np.float32)
    path = written(s.model(FUSED[op](s, "images"), ("n", 6, 8), [helper.make_opsetid("com.microsoft", 1)]), tmp_path)
    session = need("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((2, 6, 8)).astype(np.float32)
    expected, graph = session.run(None, {"images": x})[0], load(path)
    for form in (graph, canonical(graph)):
        np.testing.assert_allclose(evaluate(form, x)["logits"], expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_weights_are_read_exactly(tmp_path, dtype):
    """Weights of any float type arrive in float64 with the same values."""
    s = Sketch(dtype=np.float32)
    values = np.array([1.5, -0.25, 3.0], np.float32)
    kind = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16, "float32": TensorProto.FLOAT}[dtype]
    s.initializers.append(helper.make_tensor("w", kind, [3], values))
    cast = s.add("Cast", "w", to=TensorProto.FLOAT)
    graph = load(written(s.model(s.add("Mul", "images", cast), ("n", 3)), tmp_path))
    assert np.array_equal(graph.constants["w"], values) and graph.constants["w"].dtype == np.float64


def external(folder, location="weights.bin", size=None):
    """The model with its weights in another file, and that file's path."""
    model = vit()
    data = b""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.DOUBLE:
            raw = numpy_helper.to_array(tensor).tobytes()
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", str(len(data))), ("length", str(len(raw)))):
                tensor.external_data.add(key=key, value=value)
            data += raw
    (folder / "weights.bin").write_bytes(data[:size])
    return written(model, folder)


def test_external_data_is_read(tmp_path):
    """Weights beside the model give the same values as weights in it."""
    (tmp_path / "inside").mkdir()
    whole, apart = load(written(vit(), tmp_path / "inside")), load(external(tmp_path))
    assert np.array_equal(evaluate(whole, images())["logits"], evaluate(apart, images())["logits"])


def test_external_data_that_is_missing_or_short_is_refused(tmp_path):
    """The tensor and the file are named."""
    with pytest.raises(Corrupt, match="patch.weight lies in gone.bin, which is missing"):
        load(external(tmp_path, "gone.bin"))
    with pytest.raises(Corrupt, match="past the end of weights.bin"):
        load(external(tmp_path, size=1000))


@pytest.mark.parametrize("escape", ["../weights.bin", "folder/../../weights.bin", "/etc/hostname", "link.bin", ""])
def test_external_data_outside_the_folder_is_refused(tmp_path, escape):
    """No path, absolute path or link leads out of the model's folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(10**6))
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(Corrupt, match="outside the model's folder"):
        load(external(folder, escape))


def test_what_is_no_onnx_file_is_refused(tmp_path):
    """Missing, empty, a folder, text: each has its sentence, with the path."""
    path = tmp_path / "m.onnx"
    with pytest.raises(IllFormed, match="no file .*m.onnx"):
        load(path)
    with pytest.raises(IllFormed, match="is a folder"):
        load(tmp_path)
    for data, sentence in ((b"", "is empty"), (b"PK\x03\x04 not a model", "m.onnx is not an ONNX"),
                           (b"\x08\x0a", "holds no graph")):
        path.write_bytes(data)
        with pytest.raises(Corrupt, match=sentence):
            load(path)


def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path):
    """Every prefix of a model is refused in one sentence, never with another exception."""
    data = vit().SerializeToString()
    path = tmp_path / "cut.onnx"
    for end in sorted({*range(1, 200), *range(200, len(data), 397)}):
        path.write_bytes(data[:end])
        with pytest.raises(Corrupt) as caught:
            load(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_file_never_raises_anything_else(tmp_path):
    """A model with changed bytes loads, or is refused by one of refq's errors."""
    data = bytearray(vit().SerializeToString())
    draw, path = np.random.default_rng(3), tmp_path / "damaged.onnx"
    refused = 0
    for _ in range(300):
        changed = bytearray(data)
        for place in draw.integers(0, len(data), 3):
            changed[place] ^= 1 << draw.integers(0, 8)
        path.write_bytes(changed)
        try:
            canonical(load(path))
        except RefqError:
            refused += 1
    assert refused > 50


def test_all_unsupported_operations_are_named_at_once(tmp_path):
    """One sentence lists each operation with its nodes, foreign domains included."""
    s = Sketch()
    x = s.add("LSTM", "images", name="rnn")
    x = s.add("Einsum", x, name="e1", equation="ij->ij")
    x = s.add("Einsum", x, name="e2", equation="ij->ij")
    x = s.add("Odd", x, name="mine", domain="my.domain")
    path = written(s.model(x, extra=[helper.make_opsetid("my.domain", 1)]), tmp_path)
    with pytest.raises(Unsupported) as caught:
        load(path)
    for part in ("Einsum (e1, e2)", "LSTM (rnn)", "my.domain.Odd (mine)"):
        assert part in str(caught.value)


def test_fused_operations_with_more_to_them_are_refused(tmp_path):
    """A fused attention with a mask is refused; file, node and input are named."""
    s = Sketch()
    x = s.add("Attention", "images", s.weight("w", 8, 24), s.weight("b", 24), s.ints(1, 1), name="a", num_heads=2,
              domain="com.microsoft")
    path = written(s.model(x, ("n", 6, 8), [helper.make_opsetid("com.microsoft", 1)]), tmp_path)
    with pytest.raises(Unsupported, match=r"model.onnx: node a \(Attention of com.microsoft\) uses ints_2"):
        load(path)


@pytest.mark.parametrize("bad, word", [(np.nan, "NaN"), (np.inf, "an infinite value"), (-np.inf, "an infinite value")])
def test_weights_that_are_not_finite_are_refused(tmp_path, bad, word):
    """The tensor is named."""
    model = vit()
    tensor = next(t for t in model.graph.initializer if t.name == "blocks.1.fc1.bias")
    values = numpy_helper.to_array(tensor).copy()
    values[3] = bad
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(IllFormed, match=f"blocks.1.fc1.bias holds {word}"):
        load(written(model, tmp_path))


def test_an_old_opset_and_open_sizes_are_refused(tmp_path):
    """Opset 12 is too old; height and width must be fixed."""
    with pytest.raises(Unsupported, match="opset 12"):
        load(written(Sketch(12).model("images"), tmp_path))
    with pytest.raises(IllFormed, match="axis 2 of input images has no fixed size"):
        load(written(Sketch().model("images", ("n", 3, "h", "w")), tmp_path))


def test_shapes_that_do_not_fit_are_refused_with_the_node(tmp_path):
    """A model whose tensors do not fit each other is refused when its shapes are worked out."""
    s = Sketch()
    path = written(s.model(s.add("MatMul", "images", s.weight("w", 9, 4), name="wrong")), tmp_path)
    with pytest.raises(IllFormed, match=r"node wrong \(MatMul\)"):
        canonical(load(path))


def test_the_drawn_models_are_valid_onnx():
    """The tests' own models pass ONNX's checker, in every opset that they are used in."""
    for opset in OPSETS:
        onnx.checker.check_model(vit(opset), full_check=True)
