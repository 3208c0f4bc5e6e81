"""Networks that come quantized on the command line: golden, run, show and export, and what is refused."""
import json

import numpy as np
import pytest
from load.quantized_models import parts, qdq, written
from onnx import load


@pytest.fixture
def layer(tmp_path):
    """A layer in QDQ form, a softmax behind it left in float, and images."""
    folder = tmp_path / "model"
    folder.mkdir()
    nodes = [*qdq({})[:-1], ("DequantizeLinear", "y_q sy zy", "y_r", {}), ("Softmax", "y_r", "p", {}),
             ("QuantizeLinear", "p sp zp", "p_q", {}), ("DequantizeLinear", "p_q sp zp", "y", {})]
    path = written(folder, None, parts(sp=np.float32(1 / 256), zp=np.uint8(0)), nodes=nodes)
    np.save(folder / "images.npy", np.random.default_rng(0).uniform(-20, 50, (6, 4)).astype(np.float32))
    return path, folder / "images.npy"


def test_golden_says_what_stays_in_float(refq, layer):
    """No recipe, no calibration; the summary, the JSON and the pack's table name the node and the reason."""
    model, images = layer
    said = refq("golden", model, "--data", images, "--dialect", "onnx", "--out", "pack").out
    assert "under recipe as filed and dialect onnx, integers, but for 1 node in float" in said
    assert "in float          Softmax: softmax is borrowed from" in said and "comes quantized" in said
    assert "in float: y (Softmax: softmax is borrowed from" in refq("show", "pack").out
    assert json.loads(refq("show", "pack", "--json").out)["left"].keys() == {"y"}
    assert "recipe as filed" in refq("show", model, "--dialect", "onnx").out
    assert "PASS" in refq("verify", "pack", "--against", "pack/cases").out.upper()


def test_integers_alone(refq, layer):
    """The borrowed role plays."""
    model, images = layer
    said = refq("golden", model, "--data", images, "--dialect", "onnx", "--integer-only", "--out", "pack").out
    assert "integers only" in said and "borrowed          softmax" in said
    codes = refq("run", model, "--input", images, "--dialect", "onnx", "--integer-only", "--json").out
    assert json.loads(codes)["left"] == {} and json.loads(codes)["calibrated"] is False


def test_what_goes_with_float_networks_only(refused, layer, made):
    model, images = layer
    assert "comes quantized, so it takes no --recipe" in refused("golden", model, "--data", images, "--recipe", "int8")
    assert "--calibrate" in refused("golden", model, "--data", images, "--calibrate", images)
    line = refused("golden", made / "model.onnx", "--data", made / "images.npy", "--integer-only")
    assert "--integer-only is for networks that come quantized" in line


def test_export_to_qdq(refq, refused, layer, made):
    """The network in QDQ form; not of a pack, not of a float network, not over a file, not with what packs take."""
    model, _ = layer
    assert "in QDQ form: again.onnx" in refq("export", model, "--to", "qdq", "--out", "again.onnx").out
    assert {"QuantizeLinear", "DequantizeLinear", "MatMul", "Softmax"} <= {n.op_type for n in load("again.onnx").graph.node}
    assert "is there already" in refused("export", model, "--to", "qdq", "--out", "again.onnx")
    assert "takes the network that it was made of" in refused("export", made / "pack", "--to", "qdq", "--out", "x.onnx")
    assert "no grids" in refused("export", made / "model.onnx", "--to", "qdq", "--out", "x.onnx")
    assert "takes no --cases" in refused("export", model, "--to", "qdq", "--out", "x.onnx", "--cases", "2")


def test_a_file_that_contradicts_itself_is_one_sentence(refused, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    path = written(folder, qdq, parts(sy=np.float32(0)))
    line = refused("show", path)
    assert "layer.onnx: node quantizelinear_y_q (QuantizeLinear): scale 'sy' holds 0.0" in line


@pytest.fixture
def lite(need, tmp_path):
    """A product of int8 codes as TFLite, on scales that are no powers of two, and its input as codes and as reals."""
    need("tflite")
    need("ai_edge_litert")
    from tools.engines import tflite_models as made
    (folder := tmp_path / "lite").mkdir()
    rng = np.random.default_rng(3)
    w = made.constant(rng.integers(-127, 128, (3, 8)).astype(np.int8), "int8", 0.03)
    data = made.operation("FULLY_CONNECTED", [made.Tensor((1, 8), "int8", 0.7, -5), w, None],
                          [made.Tensor((1, 3), "int8", 1.1, -128)], "FullyConnected")
    (folder / "net.tflite").write_bytes(data)
    codes = rng.integers(-128, 128, (5, 8)).astype(np.int8)
    np.save(folder / "codes.npy", codes)
    np.save(folder / "reals.npy", (codes.astype(np.float32) + 5) * np.float32(0.7))
    return folder


def test_tflite_files_are_shown_and_bounded(refq, lite):
    """Without images: what comes quantized has a program, and accumulators."""
    assert "matmul" in refq("show", lite / "net.tflite").out
    assert "1 registers, at most" in refq("bounds", lite / "net.tflite").out
    assert "matmul" in refq("show", lite).out


def test_codes_and_reals_are_told_apart_by_every_verb(refq, refq_json, lite):
    """An array of the input's own dtype is codes, any other is reals; both give the same here."""
    seen = set()
    for name in ("codes", "reals"):
        run = refq_json("run", lite / "net.tflite", "--input", lite / f"{name}.npy", "--out", f"{name}.npy")
        made = refq_json("golden", lite / "net.tflite", "--data", lite / f"{name}.npy", "--out", name)
        assert run["read_as"] == made["read_as"] == name
        assert any(f"read as {name}" in note for note in made["notes"])
        assert f"read as {name}" in refq("run", lite / "net.tflite", "--input", lite / f"{name}.npy").out
        seen.add((np.load(f"{name}.npy").tobytes(), made["program_hash"], made["signal_to_noise_db"]))
    assert len(seen) == 1


def test_options_that_a_network_has_no_use_for(refused, lite, made):
    for verb, data in (("run", "--input"), ("golden", "--data"), ("show", "--data"), ("bounds", "--data")):
        line = refused(verb, lite / "net.tflite", data, lite / "codes.npy", "--recipe", "int8")
        assert "net.tflite: comes quantized, so it takes no --recipe" in line
    line = refused("run", made / "model.onnx", "--input", made / "images.npy", "--integer-only")
    assert "model.onnx: --integer-only is for networks that come quantized" in line


def test_what_a_dialect_forbids_names_the_file_and_what_to_do(refused, lite):
    for verb, data in (("run", "--input"), ("golden", "--data"), ("show", "--data"), ("bounds", "--data")):
        line = refused(verb, lite / "net.tflite", data, lite / "codes.npy", "--dialect", "vta")
        assert "net.tflite: tensor " in line and "take another --dialect" in line and line.count("net.tflite") == 1
    assert "refq: no dialect 'nosuch'; there are" in refused("show", lite / "net.tflite", "--dialect", "nosuch")
