"""What calibrators refuse, by one sentence each: values that are not finite or no reals, nothing seen, options out of range."""
import numpy as np
import pytest

from refq import quantizers
from refq.errors import IllFormed, Unsupported
from refq.quantizers.slices import Slices
from tests.quantizers.seen import ORDERED, RANGED, ranged, seeing, state


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(name, bad):
    """With its place; what was seen before stays."""
    quantizer = seeing(name, [1.0, 2.0, -1.5])
    before = state(quantizer), quantizer.range()
    with pytest.raises(IllFormed, match=f"calibrator {name}: value 2 of 4 is {bad}"):
        quantizer.see(np.array([[1.0, 2.0], [bad, bad]], np.float32))
    assert (state(quantizer), quantizer.range()) == before


@pytest.mark.parametrize("name", RANGED)
def test_nothing_seen_is_refused(name):
    """By name, also after empty arrays."""
    for quantizer in (quantizers.load(name), seeing(name, [], np.zeros((0, 3)))):
        for ask in (quantizer.range, quantizer.grid):
            with pytest.raises(IllFormed, match="no value was seen"):
                ask()


@pytest.mark.parametrize("options, said", [
    ({"bits": 1}, "bits 1; it is a whole number, 2 to 16"), ({"bits": 17}, "bits 17"), ({"bits": 8.0}, "bits 8.0"),
    ({"bits": True}, "bits True"), ({"scheme": "lopsided"}, "'lopsided'"),
    ({"percentile": 0}, "percentile 0; .* above 0 and at most 100"),
    ({"percentile": 100.1}, "percentile 100.1"), ({"percentile": -1}, "percentile -1"),
    ({"percentile": np.nan}, "percentile nan"),
    ({"percentile": "99"}, "percentile '99'"), ({"percentile": True}, "percentile True"), ({"bins": 100}, "100 bins"),
    ({"bins": 0}, "0 bins"), ({"bins": 4.0}, "4.0 bins")])
def test_bad_options_are_refused(options, said):
    with pytest.raises(IllFormed, match=said):
        quantizers.load("percentile", **options)


@pytest.mark.parametrize("name, options, said", [
    ("entropy_tensorrt", {"bins": 64}, "64 bins for 128 levels"), ("entropy_tensorrt", {"levels": 0}, "levels 0"),
    ("entropy_tensorrt", {"start": 100}, "start 100"), ("entropy_tensorrt", {"stride": 0}, "stride 0"),
    ("entropy_glow", {"bins": 254}, "254 bins for 255 levels"), ("entropy_glow", {"levels": 2000}, "1000 bins for 2000 levels"),
    ("entropy_ort", {"bins": 127}, "127 bins for 128 levels"), ("mse", {"bins": 128}, "128 bins for 256 levels"),
    ("omse", {"bins": 128}, "128 bins for 256 levels"), ("mse", {"steps": 0}, "steps 0"), ("mse", {"bits": 0}, "bits 0"),
    ("moving_average", {"constant": 0}, "constant 0"), ("moving_average", {"constant": 1.5}, "constant 1.5"),
    ("percentile_ort", {"percentile": 0}, "percentile 0"), ("percentile_ort_values", {"bins": 0}, "bins 0")])
def test_too_few_bins_and_other_options_are_refused(name, options, said):
    with pytest.raises(IllFormed, match=said):
        quantizers.load(name, **options)


@pytest.mark.parametrize("values", [np.array(["a"]), np.array([1j]), np.array([None]), np.zeros(2, np.longdouble)])
def test_what_is_no_real_is_refused(values):
    with pytest.raises(IllFormed, match="a calibrator sees values of dtype"):
        quantizers.load("minmax").see(values)


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint64", "bool", ">f4"])
def test_any_real_dtype_and_layout(dtype):
    """Of integers, halves, other byte orders and strides the values count."""
    values = np.arange(12).reshape(3, 4).astype(dtype)
    for name in ("minmax", "percentile"):
        assert ranged(name, values.T[::-1]) == ranged(name, values.astype(np.float64))
        quantizer = quantizers.load(name)
        quantizer.see(values.T[::-1])
        assert quantizer.range() == (0.0, float(values.max()))


@pytest.mark.parametrize("name", ORDERED)
def test_what_leaves_float32_is_refused_where_that_is_the_arithmetic(name):
    with pytest.raises(IllFormed, match="float32.*clip the data"):
        seeing(name, [1e39, 1.0])


@pytest.mark.parametrize("name", ["entropy_ort", "percentile_ort", "percentile_ort_values"])
def test_bins_of_a_tiny_first_array_do_not_grow_without_end(name):
    """A later array a billion times as large would make so many bins; what was seen stays."""
    quantizer = seeing(name, np.linspace(1e-9, 1e-6, 500))
    before = quantizer.range()
    with pytest.raises(Unsupported, match="grows by .* bins .*typical array first"):
        quantizer.see(np.array([1e3]))
    assert quantizer.range() == before


@pytest.mark.parametrize("name", ["mx", "nvfp4", "ggml_q4_0", "ggml_q8_0", "ggml_mxfp4", "minifloat"])
@pytest.mark.parametrize("values", [np.array(["a"] * 32), np.full(32, 1j), np.array([None] * 32), np.zeros(32, "M8[s]")])
def test_what_is_no_real_has_no_block_scales(name, values):
    with pytest.raises(IllFormed, match="a calibrator sees values of dtype"):
        quantizers.load(name).see(values)


@pytest.mark.parametrize("name", ["ggml_q4_0", "ggml_q8_0"])
def test_scales_beyond_float16_are_refused(name):
    """They would be infinite, and every real NaN."""
    quantizer = quantizers.load(name)
    quantizer.see(np.full(32, 3e38))
    with pytest.raises(IllFormed, match=r"largest number is 3e\+38 is beyond float16"):
        quantizer.grid()


@pytest.mark.parametrize("name, value", [("entropy_ort", 3e38), ("percentile_ort", 3e38), ("percentile_ort_values", 1e-40)])
def test_bins_that_float32_does_not_have_are_refused(name, value):
    """NumPy's histogram stops there, and so ONNX Runtime."""
    with pytest.raises(Unsupported, match=f"calibrator {name}: values .* bins in float32"):
        quantizers.load(name).see(np.full(9, value, np.float32))


def test_a_bad_slice_leaves_the_others_as_they_were():
    """The second slice is refused before the first has seen its part."""
    slices = Slices("percentile", 0)
    slices.see(np.ones((2, 9)))
    with pytest.raises(IllFormed, match="slice 1: calibrator percentile: value 3 of 9 is nan"):
        slices.see(np.where(np.arange(18).reshape(2, 9) == 12, np.nan, 5.0))
    assert slices.range()[1].tolist() == [1.0, 1.0] and [one.count for one in slices.rows.each] == [9, 9]
