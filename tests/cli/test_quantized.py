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
    said = refq("golden", model, "--data", images, "--dialect", "tosa", "--out", "pack").out
    assert "under recipe as filed and dialect tosa, integers, but for 1 node in float" in said
    assert "in float          Softmax: softmax is borrowed from" in said and "comes quantized" in said
    assert "in float: y (Softmax: softmax is borrowed from" in refq("show", "pack").out
    assert json.loads(refq("show", "pack", "--json").out)["left"].keys() == {"y"}
    assert "recipe as filed" in refq("show", model, "--dialect", "tosa").out
    assert "PASS" in refq("verify", "pack", "--against", "pack/cases").out.upper()


def test_integers_alone(refq, layer):
    """The borrowed role plays."""
    model, images = layer
    said = refq("golden", model, "--data", images, "--dialect", "tosa", "--integer-only", "--out", "pack").out
    assert "integers only" in said and "borrowed          softmax" in said
    codes = refq("run", model, "--input", images, "--dialect", "tosa", "--integer-only", "--json").out
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
