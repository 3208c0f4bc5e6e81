"""PyTorch's functions of quantized tensors (FBGEMM's engine): float32 on each code, whatever made the kernel.

sigmoid and tanh choose their result's grid themselves: 2**-8 from the lowest code, 2**-7 from the middle. Codes that vector
instructions take are rounded before the zero point joins; those of strided tensors (leaky_relu copies them first), and the last
ones of others, after it.
"""
from decimal import Decimal
from functools import partial

import numpy as np

from refq.dialects.base import Role
from refq.ints.width import I8, U8
from refq.ops import table
from tools.engines import nonlinear_models as models
from tools.engines.campaign import Campaign

TABLE, ALONE = (Role("table", table.Row(ties="half_even", evaluated="reciprocal_float32", zero_point=place))
                for place in ("after", "inside"))
VECTOR = 64
"""Codes in the widest register."""


def version():
    """Of torch; raises ImportError where it is not installed."""
    import torch
    return torch.__version__


def leaky(alpha, x):
    return x if x > 0 else alpha * x


def batch(name, width, strided, rng):
    import torch
    torch.backends.quantized.engine, threads = "fbgemm", torch.get_num_threads()
    torch.set_num_threads(1)
    q = models.codes(rng, width)
    q = q[:len(q) // VECTOR * VECTOR]
    z, zero = models.zero(rng, width), models.zero(rng, width)
    even = bool(rng.integers(0, 2))
    s = models.scale(rng, -9, 2, even)
    unit = float(np.float32(s * models.scale(rng, -5, 3, even)))
    alpha = np.float32(rng.choice([0.01, 0.125, 0.25, 0.3, 1.7]))
    given = torch.from_numpy(np.repeat(q, 2) if strided else q.copy())
    x = torch._make_per_tensor_quantized_tensor(given, s, z)
    x = x[::2] if strided else x
    made = {"sigmoid": lambda: torch.sigmoid(x), "tanh": lambda: torch.tanh(x),
            "hard_swish": lambda: torch.ops.quantized.hardswish(x, unit, zero),
            "leaky_relu": lambda: torch.ops.quantized.leaky_relu(x, float(alpha), False, unit, zero)}[name]()
    torch.set_num_threads(threads)
    unit, zero = made.q_scale(), made.q_zero_point()
    real = (q.astype(np.float64) - z) * s
    exact = {"hard_swish": lambda: models.QUICK["hard_swish"](real) / unit,
             "leaky_relu": lambda: np.where(real > 0, real, float(alpha) * real) / unit}.get(name, lambda: None)()
    return models.judged(ALONE if strided else TABLE, {"q": width, "out": width}, q, made.int_repr().numpy(),
                         f"{name} {s!r} {z} {unit!r} {zero} {alpha!r}", exact,
                         function=partial(leaky, Decimal(float(alpha))) if name == "leaky_relu" else name, s_in=s, z_in=z,
                         s_out=unit, z_out=zero)


campaigns = [Campaign(f"quantized {name} {width}{', strided' * strided}", "fbgemm", partial(batch, name, width, strided))
             for name in ("sigmoid", "tanh", "hard_swish", "leaky_relu") for width in (U8, I8)
             for strided in (False, True) if name != "leaky_relu" or not strided]
