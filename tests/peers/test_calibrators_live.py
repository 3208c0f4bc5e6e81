"""Calibrators that say "as it behaves" against the engine itself, over several batches whose range grows: equal to the bit."""
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest

from refq import quantizers

KINDS = ("laplace", "normal", "heavy", "positive", "steps", "growing", "shrinking", "first_zero", "constant")
SEEDS = range(4)


def batches(kind, seed, count=5, size=2000):
    """float32 arrays as calibration gives them, one for each image."""
    draw = np.random.default_rng(seed)
    make = {"laplace": lambda i: draw.laplace(size=size), "normal": lambda i: draw.standard_normal(size),
            "heavy": lambda i: np.clip(draw.standard_cauchy(size), -300, 300), "positive": lambda i: abs(draw.laplace(size=size)),
            "steps": lambda i: draw.integers(-8, 9, size) / 4, "growing": lambda i: draw.laplace(size=size) * 1.3 ** i,
            "shrinking": lambda i: draw.laplace(size=size) / 2 ** i, "first_zero": lambda i: draw.standard_normal(size) * (i > 0),
            "constant": lambda i: np.full(size, draw.integers(-3, 4) or 1)}[kind]
    return [np.asarray(make(i), np.float32) for i in range(count)]


def seen(name, arrays, **options):
    quantizer = quantizers.load(name, **options)
    for array in arrays:
        quantizer.see(array)
    return quantizer


def collected(need, arrays, method, symmetric, bins, levels, percentile):
    """(lo, hi) by ONNX Runtime's collector."""
    collector = need("onnxruntime.quantization.calibrate").HistogramCollector(method, symmetric, bins, levels, percentile, "same")
    with redirect_stdout(StringIO()):
        for array in arrays:
            collector.collect({"x": array})
        return tuple(float(end) for end in collector.compute_collection_result()["x"][:2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bins, levels", [(128, 128), (401, 128), (301, 100), (130, 7)])
def test_entropy_ort(need, tally, kind, bins, levels):
    """Thresholds of its EntropyCalibrater; where it stops at an assertion refq refuses by a sentence."""
    for seed in SEEDS[:2]:
        arrays = batches(kind, seed, 3)
        quantizer = seen("entropy_ort", arrays, bins=bins, levels=levels)
        try:
            expected = collected(need, arrays, "entropy", False, bins, levels, 0)
        except AssertionError:
            with pytest.raises(ValueError, match="too few to smooth"):
                quantizer.range()
            continue
        assert quantizer.range() == expected
        tally("ONNX Runtime EntropyCalibrater", 2)


def test_entropy_ort_with_2048_bins(need, tally):
    """As the facts have it: it clips then, and not by its defaults."""
    arrays = batches("laplace", 0, 2, 20000)
    fine = seen("entropy_ort", arrays, bins=2048).range()
    assert fine == collected(need, arrays, "entropy", False, 2048, 128, 0)
    plain = seen("entropy_ort", arrays).range()
    assert plain[1] - plain[0] > 1.2 * (fine[1] - fine[0])
    tally("ONNX Runtime EntropyCalibrater", 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, symmetric", [("percentile_ort", True), ("percentile_ort_values", False)])
def test_percentile_ort(need, tally, kind, name, symmetric):
    """Thresholds of its PercentileCalibrater, in either mode, at its default and others."""
    for seed in SEEDS:
        arrays = batches(kind, seed)
        for bins, percentile in ((2048, 99.999), (2048, 99), (100, 50.5), (64, 100)):
            expected = collected(need, arrays, "percentile", symmetric, bins, 0, percentile)
            assert seen(name, arrays, bins=bins, percentile=percentile).range() == expected
            tally("ONNX Runtime PercentileCalibrater", 2)


@pytest.mark.parametrize("kind", KINDS)
def test_torch_observers(need, tally, kind):
    """MinMaxObserver and MovingAverageMinMaxObserver, at several constants; and per channel."""
    torch, observers = need("torch"), need("torch.ao.quantization.observer")
    for seed in SEEDS:
        arrays = batches(kind, seed, 8)
        for name, observer, options in [("minmax", observers.MinMaxObserver(), {})] + [
                ("moving_average", observers.MovingAverageMinMaxObserver(averaging_constant=c), {"constant": c})
                for c in (0.01, 0.1, 0.37, 1.0)]:
            for array in arrays:
                observer(torch.from_numpy(array))
            expected = observer.min_val.item(), observer.max_val.item()
            assert seen(name, arrays, **options).range() == expected
            tally(f"torch {type(observer).__name__}", 2)
