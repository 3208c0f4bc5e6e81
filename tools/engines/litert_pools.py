"""LiteRT's pools: all of its sets of kernels average codes as they are, and round half away."""
from functools import partial

from refq.ints.width import I8, I16, U8
from tools.engines.campaign import Campaign
from tools.engines.pool_models import windowed
from tools.engines.tflite_models import Tensor, operation, run, version  # noqa: F401

SETS = {"reference": "tflite", "ruy": "tflite_ruy", "xnnpack": "tflite_xnnpack"}
"""LiteRT's kernels to the dialect that they are."""


def geometry(word, rng, h, w):
    """A window, its strides, and the padding that TFLite makes for them: as small as can be, the odd place behind."""
    kernel, stride = (tuple(int(v) for v in rng.integers(1, most, 2)) for most in (6, 4))
    padding = (0, 0, 0, 0)
    if word == "SAME":
        total = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip((h, w), stride, kernel)]
        padding = (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2)
    return {"kernel": kernel, "stride": stride, "padding": padding}


def pooled(kernels, name, width, rng):
    """AVERAGE_POOL_2D or MAX_POOL_2D, both of whose grids are one; 16-bit codes have no zero point."""
    word = str(rng.choice(["SAME", "VALID"]))
    drawn = windowed(rng, width, partial(geometry, word), same=True)
    zero = drawn.zin if width.bits <= 8 else 0
    average = name.startswith("AVERAGE")
    ours = drawn.mean(SETS[kernels], "average_pool") if average else drawn.largest(SETS[kernels])
    (kh, kw), (sy, sx) = drawn.geometry["kernel"], drawn.geometry["stride"]
    tensors = [Tensor(shape, width.dtype.name, drawn.s_in, zero) for shape in (drawn.q.shape, ours.shape)]
    model = operation(name, tensors[:1], tensors[1:], "Pool2D", padding=word, strideH=sy, strideW=sx, filterHeight=kh,
                      filterWidth=kw)
    theirs, = run(model, [drawn.q], kernels)
    return (drawn.compared if average else drawn.compared_largest)(ours, theirs)


campaigns = [Campaign(f"{name} {width.dtype.name} {kernels}", dialect, partial(pooled, kernels, name, width))
             for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D") for kernels, dialect in SETS.items() for width in (I8, U8, I16)]
