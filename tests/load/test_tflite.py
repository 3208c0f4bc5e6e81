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


def whole(lite, x, y, bias=None, weights=None, **settings):
    """A convolution of 3x3 from one tensor to another."""
    w = lite.constant(np.ones((2, 3, 3, 4), np.int8), "int8", 0.25) if weights is None else weights
    said = {"padding": "SAME", "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1} | settings
    return lite.operation("CONV_2D", [x, w, bias], [y], "Conv2D", fusedActivationFunction="NONE", **said)


def test_a_convolution_that_contradicts_itself(lite, tmp_path):
    """Shapes, strides and grids that the file declares are held against what the operator makes."""
    x, y = lite.Tensor((1, 5, 6, 4), "int8", 0.5), lite.Tensor((1, 5, 6, 2), "int8", 1.0)
    load(written(tmp_path, whole(lite, x, y)))
    assert "strides are 0, 1" in refusal(written(tmp_path, whole(lite, x, y, strideH=0)), Corrupt)
    assert "dilations are 1, -1" in refusal(written(tmp_path, whole(lite, x, y, dilationWFactor=-1)), Corrupt)
    large = lite.Tensor((1, 5, 4177928, 2), "int8", 1.0)
    assert "its inputs make it (1, 5, 6, 2)" in refusal(written(tmp_path, whole(lite, x, large)), IllFormed)
    short = lite.constant(np.ones(3, np.int32), "int32", 0.125)
    assert "3 elements for 2 channels" in refusal(written(tmp_path, whole(lite, x, y, short)), IllFormed)
    odd = lite.constant(np.ones((2, 3, 3, 4), np.int8), "int8", 0.25, 3)
    assert "zero points from 3 to 3" in refusal(written(tmp_path, whole(lite, x, y, weights=odd)), Unsupported)
    bare = lite.Tensor((1, 5, 6, 2), "int8")
    assert "INT8 without a scale" in refusal(written(tmp_path, whole(lite, x, bare)), Unsupported)


def test_what_does_not_rescale_between_grids(lite, tmp_path):
    """LiteRT's kernels move codes as they lie, whatever grid the file says for the result."""
    x, numbers = lite.Tensor((1, 4, 4, 2), "int8", 0.5), lite.constant(np.array([1, 32], np.int32))
    pool = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": "VALID"}
    for scale, refused in ((0.5, False), (0.25, True)):
        small, flat = lite.Tensor((1, 2, 2, 2), "int8", scale), lite.Tensor((1, 32), "int8", scale)
        models = [lite.operation(name, [x], [small], "Pool2D", fusedActivationFunction="NONE", **pool)
                  for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D")]
        for model in (*models, lite.operation("RESHAPE", [x, numbers], [flat])):
            path = written(tmp_path, model)
            if refused:
                assert "does not rescale" in refusal(path, Unsupported)
            else:
                load(path)


def test_slices_of_negative_strides_are_refused(lite, tmp_path):
    x, parts = lite.Tensor((1, 9), "int8", 0.5), [lite.constant(np.array(v, np.int32)) for v in ([0, 8], [1, 0], [1, -2])]
    model = lite.operation("STRIDED_SLICE", [x, *parts], [lite.Tensor((1, 4), "int8", 0.5)], "StridedSlice")
    assert "strides of 1, -2" in refusal(written(tmp_path, model), Unsupported)


def test_a_damaged_byte_is_a_sentence(lite, tmp_path):
    """Whatever byte changes, no traceback and no word of Python's."""
    data, rng = bytearray(whole(lite, lite.Tensor((1, 5, 6, 4), "int8", 0.5), lite.Tensor((1, 5, 6, 2), "int8", 1.0))), \
        np.random.default_rng(0)
    for _ in range(300):
        other = bytearray(data)
        for place in rng.integers(8, len(data), 2):
            other[place] = rng.choice([0, 1, 2, 127, 128, 255])
        try:
            load(written(tmp_path, bytes(other)))
        except RefqError as e:
            assert "Error" not in str(e) and "object" not in str(e) and "np." not in str(e), str(e)
