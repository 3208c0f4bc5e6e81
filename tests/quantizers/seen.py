"""What tests of calibrators share: their names, one that saw arrays, all that it keeps, and drawn values."""
from math import frexp, ldexp

import numpy as np

from refq import quantizers
from refq.quantizers.base import Calibrator

BINS, OUTSIDE, LEAST = 1 << 15, 1e-4, -126

RANGED = [name for name in quantizers.names() if issubclass(quantizers.named(name), Calibrator)
          and quantizers.named(name).__module__.endswith(f".{name}")]
ORDERED = ["entropy_ort", "moving_average", "percentile_ort", "percentile_ort_values"]
FREE = [name for name in RANGED if name not in ORDERED]
"""Those that give a range; of them those whose sources let the order of the arrays matter, and the others."""


def seeing(name, *arrays, **options):
    quantizer = quantizers.load(name, **options)
    for array in arrays:
        quantizer.see(np.asarray(array, np.float64))
    return quantizer


def ranged(name, *arrays, **options):
    return seeing(name, *arrays, **options).range()


def state(quantizer):
    """All that a range is found from."""
    histogram = getattr(quantizer, "histogram", None)
    return quantizer.lo, quantizer.hi, quantizer.count, histogram and (histogram.exponent, histogram.counts.tobytes())


def bin_of(values):
    """The width of a bin: so many cover twice the power of two above the largest magnitude."""
    most = float(np.abs(values).max())
    return ldexp(1, max(frexp(most)[1] if most else LEAST, LEAST) - 14)


def drawn(seed, size, kind):
    draw = np.random.default_rng(seed)
    return {"normal": lambda: draw.standard_normal(size), "heavy": lambda: draw.standard_cauchy(size),
            "positive": lambda: np.abs(draw.standard_normal(size)), "steps": lambda: draw.integers(-8, 9, size) / 4,
            "magnitudes": lambda: np.ldexp(draw.uniform(-1, 1, size), draw.integers(-30, 30, size))}[kind]()
