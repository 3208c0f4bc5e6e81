"""TFLite files that cannot be meant: one sentence that names the file, the operator or the tensor."""
import numpy as np
import pytest

from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.load.network import load


@pytest.fixture(scope="module")
def lite(need):
    need("tflite")
    need("ai_edge_litert")
    from tools.engines import tflite_models
    return tflite_models


def written(folder, data):
    path = folder / "net.tflite"
    path.write_bytes(data)
    return path


def product(lite, scale=0.5, zero=0, wide=0.25, kind="int8"):
    w = lite.constant(np.ones((3, 8), np.int8), "int8", wide)
    return lite.operation("FULLY_CONNECTED", [lite.Tensor((1, 8), kind, scale, zero), w, None],
                          [lite.Tensor((1, 3), kind, 1.0)], "FullyConnected")


def refusal(path, kind):
    with pytest.raises(kind) as refused:
        load(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)
    return str(refused.value)


def test_what_is_no_tflite_file(tmp_path, need):
    need("tflite")
    assert "TFL3" in refusal(written(tmp_path, b"PK\x03\x04 this is a zip"), Corrupt)
    assert "TFL3" in refusal(written(tmp_path, b""), Corrupt)


def test_every_truncation_is_refused_or_whole(lite, tmp_path):
    """Cut anywhere: a sentence, never a traceback."""
    data = product(lite)
    for end in range(8, len(data), 97):
        try:
            load(written(tmp_path, data[:end]))
        except RefqError as e:
            assert "\n" not in str(e)


@pytest.mark.parametrize("bad, says", [({"scale": 0.0}, "scale of 0.0"), ({"scale": -1.0}, "scale of -1.0"),
                                       ({"scale": np.nan}, "scale of .*nan"), ({"scale": 1e-42}, "subnormal"),
                                       ({"zero": 200}, "zero points from 200 to 200; i8 holds"), ({"wide": [0.5, 0.5]}, "scale")])
def test_scales_and_zero_points_that_cannot_be(lite, tmp_path, bad, says):
    import re
    with pytest.raises(IllFormed, match=re.sub(" ", ".", says)):
        load(written(tmp_path, product(lite, **bad)))


def test_operators_and_floats_are_named(lite, tmp_path):
    cumsum = lite.operation("CUMSUM", [lite.Tensor((1, 4), "int8", 0.5), lite.constant(np.array(1, np.int32))],
                            [lite.Tensor((1, 4), "int8", 0.5)], "Cumsum")
    assert "CUMSUM" in refusal(written(tmp_path, cumsum), Unsupported)
    floats = lite.operation("LOGISTIC", [lite.Tensor((1, 4), "float32")], [lite.Tensor((1, 4), "float32")])
    assert "float network" in refusal(written(tmp_path, floats), Unsupported)


def test_a_bias_on_another_grid_is_refused(lite, tmp_path):
    """Its scale is not the product of the scales of what it joins: the channel is named when the program is made."""
    import refq
    w = lite.constant(np.ones((3, 8), np.int8), "int8", 0.25)
    bias = lite.constant(np.ones(3, np.int32), "int32", 0.3)
    model = lite.operation("FULLY_CONNECTED", [lite.Tensor((1, 8), "int8", 0.5), w, bias], [lite.Tensor((1, 3), "int8", 1.0)],
                           "FullyConnected")
    with pytest.raises(IllFormed, match="channel 0 has scale 0.3"):
        refq.quantize(load(written(tmp_path, model)), dialect="tflite")
