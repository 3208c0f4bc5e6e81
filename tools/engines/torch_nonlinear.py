"""PyTorch's functions of quantized tensors, under each of its engines: float32 on each code.

sigmoid and tanh choose their result's grid themselves: 2**-8 from the lowest code, 2**-7 from the middle. Codes are drawn in
numbers that fill vectors: the last ones of others, and those of strided tensors, are rounded with the zero point inside, which
tests/peers/test_torch_strided.py looks at. QNNPACK has a hard_swish of its own for unsigned codes.
"""
from decimal import Decimal
from functools import partial

import numpy as np

from refq.ints.width import I8, U8
from tools.engines import nonlinear_models as models
from tools.engines import torch_models
from tools.engines.campaign import Campaign

version = partial(torch_models.version, "qnnpack")
DIALECTS = {"x86": "torch_x86", "fbgemm": "fbgemm", "qnnpack": "torch_qnnpack"}
"""PyTorch's quantized engines to the dialect that they are."""
FUNCTIONS = ("sigmoid", "tanh", "hard_swish", "leaky_relu")
OWN = {("qnnpack", "hard_swish", I8): "hard_swish_i8"}
"""Roles that are not named as the function is."""
VECTOR = 64
"""Codes in the widest register."""


def leaky(alpha, x):
    return x if x > 0 else alpha * x


def drawn(engine, name, width, rng, apart=1):
    """One function of one tensor, whose codes lie `apart` in memory: codes, what PyTorch makes of them, a witness, their exact
    results where float64 has them, and what a table is built from."""
    t = torch_models.torch(engine)
    q = models.codes(rng, width)
    q = q[:len(q) // VECTOR * VECTOR]
    z, zero = models.zero(rng, width), models.zero(rng, width)
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -9, 2, even)
    unit = float(np.float32(s * models.scale(rng, -5, 3, even)))
    alpha = float(np.float32(rng.choice([0.01, 0.125, 0.25, 0.3, 1.7])))
    threads = t.get_num_threads()
    t.set_num_threads(1)
    x = torch_models.tensor(t, np.repeat(q, apart), s, z)[::apart]
    made = {"sigmoid": lambda: t.sigmoid(x), "tanh": lambda: t.tanh(x),
            "hard_swish": lambda: t.ops.quantized.hardswish(x, unit, zero),
            "leaky_relu": lambda: t.ops.quantized.leaky_relu(x, alpha, False, unit, zero)}[name]()
    t.set_num_threads(threads)
    unit, zero = made.q_scale(), made.q_zero_point()
    real = (q.astype(np.float64) - z) * s
    exact = {"hard_swish": lambda: models.QUICK["hard_swish"](real) / unit,
             "leaky_relu": lambda: np.where(real > 0, real, alpha * real) / unit}.get(name, lambda: None)()
    build = {"function": partial(leaky, Decimal(alpha)) if name == "leaky_relu" else name, "s_in": s, "z_in": z, "s_out": unit,
             "z_out": zero}
    return q, torch_models.codes_of(made), f"{name} {s!r} {z} {unit!r} {zero} {alpha!r}", exact, build


def batch(engine, name, width, rng):
    *compared, build = drawn(engine, name, width, rng)
    return models.judged(DIALECTS[engine], OWN.get((engine, name, width), name), {"q": width, "out": width}, *compared, **build)


campaigns = [Campaign(f"{name} {width}, {engine}", dialect, partial(batch, engine, name, width))
             for name in FUNCTIONS for engine, dialect in DIALECTS.items() for width in (U8, I8)]
