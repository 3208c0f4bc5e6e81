"""TensorFlow Lite Micro's nonlinear operations: 32-bit fixed point for LOGISTIC, TANH and SOFTMAX of int8, which LiteRT has left.

    pip install --no-deps tflite-micro      its wheel asks for TensorFlow, which running a model does not need
"""
from functools import partial

import numpy as np

from refq import dialects
from refq.ints.width import I8, I16
from refq.ops import logistic_fixed, logistic_table16
from tools.engines import nonlinear_models as models
from tools.engines.campaign import Campaign
from tools.engines.tflite_models import Tensor, operation

DIALECT = "tflm"
ARENA = 1 << 22


def version():
    """Of the wheel; raises ImportError where it is not installed."""
    from importlib.metadata import version as of
    try:
        import tflite_micro.python.tflite_micro.runtime  # noqa: F401
    except ImportError as e:
        raise ImportError(f"{e}; pip install --no-deps tflite-micro (without --no-deps it brings TensorFlow)") from None
    return of("tflite-micro")


def answer(name, q, taken, given, options=None, to=None, **settings):
    from tflite_micro.python.tflite_micro import runtime
    kind = q.dtype.name
    model = operation(name, [Tensor(q.shape, kind, *taken)], [Tensor(q.shape, to or kind, *given)], options, **settings)
    device = runtime.Interpreter.from_bytes(model, arena_size=ARENA)
    device.set_input(q, 0)
    device.invoke()
    return device.get_output(0)


def function(name, function, width, rng):
    """LOGISTIC or TANH of either width."""
    q, z = models.codes(rng, width), models.zero(rng, width) if width == I8 else 0
    s = models.scale(rng, *((-9, 2) if width == I8 else (-20, 0)))
    role, op = (function, logistic_fixed) if width == I8 else (f"{function}_wide", logistic_table16)
    unit, zero = op.result(dialects.load(DIALECT).role(role).row)
    theirs = answer(name, q, (s, z), (unit, zero))
    return models.judged(DIALECT, role, {}, q, theirs, f"{name} {s!r} {z}", s_in=s, z_in=z, s_out=unit, z_out=zero)


def softmax(width, to, rng):
    q, s, beta = models.rows(rng, width, 500), models.scale(rng, *((-9, 3) if width == I8 else (-17, -3))), 1.0
    given = (2.0 ** -8, -128) if to == "int8" else (2.0 ** -16, -32768) if width == I8 else (2.0 ** -15, 0)
    theirs = answer("SOFTMAX", q, (s, 0), given, "Softmax", to=to, beta=beta)
    widths = {"q": width, "out": I16 if to == "int16" else I8}
    return models.judged(DIALECT, "softmax" if width == I8 else "softmax_wide", widths, q, theirs, f"SOFTMAX {s!r}",
                         scale=s, zero=0)


def leaky(width, rng):
    q, alpha = models.codes(rng, width), float(np.float32(rng.choice([0.0, 0.01, 0.125, 0.25, 0.3, 1.0, 1.7])))
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -12, 2, even)
    unit = float(np.float32(s * models.scale(rng, -3, 4, even)))
    z, zero = (0, 0) if width == I16 else (models.zero(rng, I8), models.zero(rng, I8))
    theirs = answer("LEAKY_RELU", q, (s, z), (unit, zero), "LeakyRelu", alpha=alpha)
    x = q.astype(np.float64) - z
    return models.judged(DIALECT, "leaky_relu" if width == I8 else "leaky_relu_wide", {"q": width, "out": width}, q, theirs,
                         f"LEAKY_RELU {alpha!r} {s!r} {z} {unit!r} {zero}", x * np.where(x >= 0, 1.0, alpha) * s / unit,
                         alpha=alpha, s_in=s, z_in=z, s_out=unit, z_out=zero)


def swish(rng):
    q, z, zero = models.codes(rng, I8), models.zero(rng, I8), models.zero(rng, I8)
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -10, 3, even)
    unit = float(np.float32(s * models.scale(rng, -6, 1, even)))
    theirs = answer("HARD_SWISH", q, (s, z), (unit, zero), "HardSwish")
    return models.judged(DIALECT, "hard_swish", {}, q, theirs, f"HARD_SWISH {s!r} {z} {unit!r} {zero}", s_in=s, z_in=z,
                         s_out=unit, z_out=zero)


campaigns = [Campaign(name, DIALECT, batch) for name, batch in (
    *((f"{name} int{w.bits}", partial(function, name, f, w)) for w in (I8, I16)
      for name, f in (("LOGISTIC", "sigmoid"), ("TANH", "tanh"))),
    ("SOFTMAX int8", partial(softmax, I8, "int8")), ("SOFTMAX int8 to int16", partial(softmax, I8, "int16")),
    ("SOFTMAX int16", partial(softmax, I16, "int16")),
    ("LEAKY_RELU int8", partial(leaky, I8)), ("LEAKY_RELU int16", partial(leaky, I16)), ("HARD_SWISH int8", swish))]
