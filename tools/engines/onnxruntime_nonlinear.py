"""ONNX Runtime's functions of quantized codes: QLinearSigmoid and QLinearLeakyRelu by tables, QLinearSoftmax by one of float32.

QLinearSoftmax multiplies its exponentials by floor(1 / s_y), which leaves float32 for rows of one code (and of few, where s_y is
fine): of infinity it makes 0, or the largest code, where the share is 1. Such rows are not drawn.
"""
from decimal import Decimal
from functools import partial

import numpy as np

from refq.ints.width import I8, U8
from tools.engines import nonlinear_models as models
from tools.engines.campaign import Campaign
from tools.engines.onnx_models import MICROSOFT, run, version  # noqa: F401

DIALECT = "ort_x86"
ROLES = {"QLinearSigmoid": "sigmoid", "QLinearLeakyRelu": "leaky_relu"}
GRID = "x sx zx sy zy"


def answer(name, q, s, z, unit, zero, attributes):
    feeds = {"x": q, "sx": np.float32(s), "zx": q.dtype.type(z), "sy": np.float32(unit), "zy": q.dtype.type(zero)}
    return run(feeds, (name, GRID, "y", MICROSOFT | attributes), frozen=("sx", "zx", "sy", "zy"))[0]


def by_table(name, width, rng):
    q, z, zero = models.codes(rng, width), models.zero(rng, width), models.zero(rng, width)
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -9, 2, even)
    unit = models.scale(rng, -9, 0, even) if name == "QLinearSigmoid" else float(np.float32(s * models.scale(rng, -5, 3, even)))
    alpha = np.float32(rng.choice([0.01, 0.125, 0.25, 0.3, 1.7]))
    function = "sigmoid" if name == "QLinearSigmoid" else partial(leaky, Decimal(float(alpha)))
    theirs = answer(name, q, s, z, unit, zero, {} if name == "QLinearSigmoid" else {"alpha": float(alpha)})
    x = (q.astype(np.float64) - z) * s
    exact = None if name == "QLinearSigmoid" else np.where(x >= 0, x, x * float(alpha)) / unit
    return models.judged(DIALECT, ROLES[name], {"q": width, "out": width}, q, theirs,
                         f"{name} {s!r} {z} {unit!r} {zero} {alpha!r}", exact, function=function, s_in=s,
                         z_in=z, s_out=unit, z_out=zero)


def leaky(alpha, x):
    return x if x >= 0 else alpha * x


def softmax(width, rng):
    q = models.rows(rng, width)
    while q.shape[1] == 1:
        q = models.rows(rng, width)
    s, standard = models.scale(rng, -9, 3), bool(rng.integers(0, 2))
    most = float(q.shape[1]) * 128              # what float32 holds, times the largest exponential of such a row
    unit, zero = (1 / 256, width.lo) if standard else (max(models.scale(rng, -9, -2), 1 / most), models.zero(rng, width))
    theirs = answer("QLinearSoftmax", q, s, 3, unit, zero, {"axis": -1, "opset": 13})
    return models.judged(DIALECT, "softmax", {"q": width, "out": width}, q, theirs, f"QLinearSoftmax {s!r} to {unit!r} {zero}",
                         scale=s, count=q.shape[1], s_out=unit, z_out=zero)


campaigns = [Campaign(f"{name} {width}", DIALECT, partial(batch, width))
             for width in (I8, U8)
             for name, batch in (("QLinearSigmoid", partial(by_table, "QLinearSigmoid")),
                                 ("QLinearLeakyRelu", partial(by_table, "QLinearLeakyRelu")), ("QLinearSoftmax", softmax))]
