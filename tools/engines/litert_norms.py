"""LiteRT's L2_NORMALIZATION of int8 codes, by its reference kernels, by its fast ones, and with XNNPACK, which leaves it.

Its result lies on a grid of 1/128; the norm is one of rows along the last axis.
"""
from functools import partial

import numpy as np

from refq.ints.width import I8
from tools.engines import nonlinear_models as models
from tools.engines.campaign import Campaign
from tools.engines.litert_nonlinear import DIALECTS, KERNELS, answer
from tools.engines.tflite_models import version  # noqa: F401


def unit_length(kernels, rng):
    """Rows far apart and close together, of one code and of thousands, and some that are zero points throughout."""
    q, z, s = models.rows(rng, I8, int(rng.choice([700, 4096, 20000]))), models.zero(rng, I8), models.scale(rng, -9, 3)
    q[::5] = np.clip(z + rng.integers(-2, 3, q[::5].shape), -128, 127)
    q[::11] = z
    theirs = answer("L2_NORMALIZATION", kernels, q, "int8", (s, z), (1 / 128, 0), "L2Norm", fusedActivationFunction="NONE")
    return models.judged(DIALECTS[kernels], "l2_norm", {"q": I8}, q, theirs, f"L2_NORMALIZATION {s!r} {z}", zero=z)


campaigns = [Campaign(f"L2_NORMALIZATION int8, {k}", DIALECTS[k], partial(unit_length, k)) for k in KERNELS]
