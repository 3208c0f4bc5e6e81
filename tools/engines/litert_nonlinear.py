"""LiteRT's nonlinear operations: by its reference kernels, by its fast ones, and by XNNPACK where it takes them.

LOGISTIC, TANH, GELU and EXP of int8 are tables under all three, and so is EXP of int16, with lines between entries. LOGISTIC
and TANH of int16 at scales that are powers of two (2**-12; 2**-11 too for TANH) take other kernels outside the reference, in
16-bit fixed point: campaigns of their own. XNNPACK takes a LEAKY_RELU whose two factors are between 2**-8 and 2**7, and leaves
the others, and all 16-bit codes, to TFLite's kernels.
"""
from functools import partial
from math import log2

import numpy as np

from refq.ints.width import I8, I16
from refq.ops.logistic_table16 import POWERS
from tools.engines import nonlinear_models as models
from tools.engines.campaign import Campaign
from tools.engines.tflite_models import Tensor, operation, run, version  # noqa: F401

GRIDS = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
KERNELS = ("reference", "ruy", "xnnpack")
DIALECTS = {"reference": "tflite", "ruy": "tflite_ruy", "xnnpack": "tflite_xnnpack"}
FIXED = {"LOGISTIC": "at a scale of 2**-12 the fast kernels compute a 16-bit LOGISTIC in gemmlowp's 16-bit fixed point, which no "
                     "row has, up to 7 codes off: code -1 is 16382 by the reference, and by the row, and 16383 by them",
         "TANH": "at scales of 2**-12 and 2**-11 the fast kernels compute a 16-bit TANH in gemmlowp's 16-bit fixed point, which "
                 "no row has, up to 12 codes off: code -1 at 2**-11 is -16 by the reference, and by the row, and -24 by them"}
"""Why codes differ there."""
BOUNDS = {"LOGISTIC": (7, 0.9), "TANH": (12, 0.65)}
"""How far apart they may be, and what share of them."""


def answer(name, kernels, q, kind, taken, given, options=None, **settings):
    model = operation(name, [Tensor(q.shape, kind, *taken)], [Tensor(q.shape, kind, *given)], options, **settings)
    return run(model, [q], kernels)[0]


def by_table(name, function, kernels, rng, approximate=None):
    q, s, z = models.codes(rng, I8), models.scale(rng, -9, 2), models.zero(rng, I8)
    unit, zero = GRIDS.get(name) or (models.scale(rng, -9, 0), models.zero(rng, I8))
    gelu = {"options": "Gelu", "approximate": approximate} if name == "GELU" else {}
    theirs = answer(name, kernels, q, "int8", (s, z), (unit, zero), **gelu)
    return models.judged(DIALECTS[kernels], "gelu" if name == "GELU" else function, {}, q, theirs,
                         f"{name} {s!r} {z} to {unit!r} {zero}", function=function, s_in=s, z_in=z, s_out=unit, z_out=zero)


def exponential(width, kernels, rng):
    """EXP; 16-bit codes have no zero point."""
    q, narrow = models.codes(rng, width), width == I8
    s = models.scale(rng, *((-9, -4) if narrow else (-17, -12)))
    z, zero = (models.zero(rng, I8), models.zero(rng, I8)) if narrow else (0, 0)
    unit = models.scale(rng, *((-9, 0) if narrow else (-15, -8)))
    theirs = answer("EXP", kernels, q, q.dtype.name, (s, z), (unit, zero))
    return models.judged(DIALECTS[kernels], "table" if narrow else "table_wide", {"q": width, "out": width}, q, theirs,
                         f"EXP {s!r} {z} to {unit!r} {zero}", function="exp", s_in=s, z_in=z, s_out=unit, z_out=zero)


def powers(function):
    """The scales that the fast kernels compute in fixed point, and with them what lies within 2**0.001."""
    return [2.0 ** (k - 12) for k in POWERS[function]]


def wide_scale(rng):
    """Half the time one of those under which most results saturate."""
    return models.scale(rng, int(rng.choice([-20, -11])), 0)


def wide(name, function, kernels, rng):
    s = wide_scale(rng)
    while kernels != "reference" and any(abs(log2(s / taken)) < 0.002 for taken in powers(function)):
        s = wide_scale(rng)
    return wide_at(s, name, function, kernels, rng)


def fixed(name, function, kernels, rng):
    return wide_at(float(rng.choice(powers(function))), name, function, kernels, rng)


def wide_at(s, name, function, kernels, rng):
    q = models.codes(rng, I16)
    theirs = answer(name, kernels, q, "int16", (s, 0), (2.0 ** -15, 0))
    return models.judged(DIALECTS[kernels], f"{function}_wide", {}, q, theirs, f"{name} {s!r}", s_in=s, z_in=0,
                         s_out=2.0 ** -15, z_out=0)


def leaky(kernels, width, rng):
    alphas = [0.125, 0.25, 0.3, 1.0, 1.7] + [0.0, 0.01] * (kernels != "xnnpack")
    q, alpha = models.codes(rng, width), float(np.float32(rng.choice(alphas)))
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -12, 2, even)
    unit = float(np.float32(s * models.scale(rng, -4, 2, even)))
    zeros = (0, 0) if width == I16 else (models.zero(rng, I8), models.zero(rng, I8))
    kind = "int16" if width == I16 else "int8"
    theirs = answer("LEAKY_RELU", kernels, q, kind, (s, zeros[0]), (unit, zeros[1]), "LeakyRelu", alpha=alpha)
    role = "leaky_relu" if width == I8 else "leaky_relu_wide"
    x = q.astype(np.float64) - zeros[0]
    exact = x * np.where(x >= 0, 1.0, alpha) * s / unit
    return models.judged(DIALECTS[kernels], role, {"q": width, "out": width}, q, theirs,
                         f"LEAKY_RELU {alpha!r} {s!r} {unit!r} {zeros}", exact, alpha=alpha, s_in=s, z_in=zeros[0],
                         s_out=unit, z_out=zeros[1])


def swish(kernels, rng):
    q, z, zero = models.codes(rng, I8), models.zero(rng, I8), models.zero(rng, I8)
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -10, 3, even)
    unit = float(np.float32(s * models.scale(rng, -6, 1, even)))
    theirs = answer("HARD_SWISH", kernels, q, "int8", (s, z), (unit, zero), "HardSwish")
    return models.judged(DIALECTS[kernels], "hard_swish", {}, q, theirs, f"HARD_SWISH {s!r} {z} {unit!r} {zero}", s_in=s,
                         z_in=z, s_out=unit, z_out=zero)


def softmax(kernels, rng):
    q, s, beta = models.rows(rng, I8, 500), models.scale(rng, -9, 3), float(np.float32(rng.choice([1.0, 1.0, 0.5, 2.3])))
    theirs = answer("SOFTMAX", kernels, q, "int8", (s, 5), (1 / 256, -128), "Softmax", beta=beta)
    constants = {"count": q.shape[1], "s_out": 1 / 256, "z_out": -128} if kernels != "reference" else {"zero": 5}
    return models.judged(DIALECTS[kernels], "softmax", {}, q, theirs, f"SOFTMAX {s!r} {beta!r}", scale=s * beta, **constants)


def softmax_wide(kernels, rng):
    q, s = models.rows(rng, I16), models.scale(rng, -17, -3)
    theirs = answer("SOFTMAX", kernels, q, "int16", (s, 0), (2.0 ** -15, 0), "Softmax", beta=1.0)
    return models.judged(DIALECTS[kernels], "softmax_wide", {}, q, theirs, f"SOFTMAX {s!r}", scale=s, zero=0)


def named(operation, kernels, batch, *excused):
    return Campaign(f"{operation}, {kernels}", DIALECTS[kernels], batch, *excused)


campaigns = [
    *(named(f"{name} int8 {'tanh' if near else ''}".strip(), k, partial(by_table, name, function, k, approximate=near))
      for k in KERNELS for name, function, near in (("LOGISTIC", "sigmoid", None), ("TANH", "tanh", None),
                                                    ("GELU", "gelu", False), ("GELU", "gelu_tanh", True))),
    *(named(f"{name} int16", k, partial(wide, name, function, k))
      for k in KERNELS for name, function in (("LOGISTIC", "sigmoid"), ("TANH", "tanh"))),
    *(named(f"{name} int16 of a power of two", k, partial(fixed, name, function, k), FIXED[name], *BOUNDS[name])
      for k in KERNELS[1:] for name, function in (("LOGISTIC", "sigmoid"), ("TANH", "tanh"))),
    *(named(f"EXP int{width.bits}", k, partial(exponential, width, k)) for k in KERNELS for width in (I8, I16)),
    *(named("LEAKY_RELU int8", k, partial(leaky, k, I8)) for k in KERNELS),
    *(named("LEAKY_RELU int16", k, partial(leaky, k, I16)) for k in KERNELS),
    *(named("HARD_SWISH int8", k, partial(swish, k)) for k in KERNELS),
    *(named("SOFTMAX int8", k, partial(softmax, k)) for k in KERNELS),
    *(named("SOFTMAX int16", k, partial(softmax_wide, k)) for k in KERNELS)]
