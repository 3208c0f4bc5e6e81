"""PyTorch's pools of quantized tensors: its own, whose arithmetic depends on how images lie, and QNNPACK's.

Of images whose channels lie last the channels that fill vectors (16 of AVX-512, 8 of AVX2) are averaged otherwise than the rest,
and than those of images whose channels lie first; an adaptive pool otherwise than one of a given window (always 8 in a vector).
Images of one channel lie in both ways, and PyTorch takes them for such whose channels lie last.
"""
from functools import partial

import numpy as np

from refq.ints.width import I8, U8
from tools.engines import torch_models as models
from tools.engines.pool_models import COUNT, pool, windowed
from tools.engines.qlinear_models import named

version = partial(models.version, "qnnpack")
MEAN = {False: "average_pool", True: "average_pool_channels_last"}
ADAPTIVE = {False: "average_pool_adaptive", True: "average_pool_adaptive_channels_last"}
QNNPACK = dict.fromkeys((False, True), "average_pool")
PLACES = {True: "all", False: "valid"}


def geometry(rng, h, w):
    """A window of 2 places or more, its strides, and padding of at most half of it, as PyTorch wants it."""
    kernel, stride = (tuple(int(v) for v in rng.integers(1, most, 2)) for most in (6, 4))
    kernel = (2, kernel[1]) if kernel == (1, 1) else kernel
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    return {"kernel": kernel, "stride": stride, "padding": padding * 2}


def vector():
    """What this processor's kernels make of the row of the processor that the dialect tells of: how many channels fill a vector,
    or that there is none."""
    import torch
    filled = {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability())
    return {"block": filled} if filled else {"zero_point": "inside"}


def tensor(t, drawn, last):
    """The codes (n h w c) as a quantized tensor (n c h w), lying in that order or with its channels last."""
    codes = t.from_numpy(drawn.q).permute(0, 3, 1, 2)
    codes = codes.contiguous(memory_format=t.channels_last if last else t.contiguous_format)
    return t._make_per_tensor_quantized_tensor(codes, float(drawn.s_in), drawn.zin)


def codes_of(quantized):
    return quantized.int_repr().permute(0, 2, 3, 1).numpy()


def averaged(engine, dialect, role, width, last, every, rng):
    """avg_pool2d; QNNPACK divides by all places of a window whatever it is told."""
    t, drawn = models.torch(engine), windowed(rng, width, geometry, same=True)
    (kernel, stride, padding), counts = (drawn.geometry[k] for k in ("kernel", "stride", "padding")), PLACES[every]
    made = t.nn.functional.avg_pool2d(tensor(t, drawn, last), kernel, stride, padding[:2], False, every)
    return drawn.compared(drawn.mean(dialect, role, counts=counts, **(vector() if last else {})), codes_of(made), counts=counts)


def adapted(engine, dialect, roles, width, last, rng):
    """adaptive_avg_pool2d to a size that divides the image's: a pool whose stride is its window."""
    t, size, kernel = models.torch(engine), (1, 1), tuple(int(v) for v in rng.integers(1, 7, 2))
    if rng.integers(0, 2):
        size = tuple(int(v) for v in rng.integers(1, 5, 2))
    c = int(rng.choice([1, 5, 8, 16, 24, 37, 64, 70]))
    shape = (int(-(-COUNT // (4 * c * np.prod(size)))), *(k * s for k, s in zip(kernel, size)), c)
    drawn = pool(rng, width, shape, {"kernel": kernel, "stride": kernel, "padding": (0, 0, 0, 0)}, True)
    made = t.nn.functional.adaptive_avg_pool2d(tensor(t, drawn, last), size)
    return drawn.compared(drawn.mean(dialect, roles[last or c == 1]), codes_of(made))


def largest(engine, dialect, width, last, rng):
    """max_pool2d."""
    t, drawn = models.torch(engine), windowed(rng, width, geometry, same=True)
    kernel, stride, padding = (drawn.geometry[k] for k in ("kernel", "stride", "padding"))
    made = t.nn.functional.max_pool2d(tensor(t, drawn, last), kernel, stride, padding[:2])
    return drawn.compared_largest(drawn.largest(dialect), codes_of(made))


def lying(last):
    return f"channels {'last' if last else 'first'}"


campaigns = [
    *(named(f"avg_pool2d {width}, {lying(last)}, over {PLACES[every]} places", "torch_x86", averaged, "x86", "torch_x86",
            MEAN[last], width, last, every) for width in (U8, I8) for last in (False, True) for every in (True, False)),
    *(named(f"adaptive_avg_pool2d {width}, {lying(last)}", "torch_x86", adapted, "x86", "torch_x86", ADAPTIVE, width, last)
      for width in (U8, I8) for last in (False, True)),
    *(named(f"max_pool2d {width}, {lying(last)}", "torch_x86", largest, "x86", "torch_x86", width, last)
      for width in (U8, I8) for last in (False, True)),
    named("avg_pool2d u8, qnnpack", "torch_qnnpack", averaged, "qnnpack", "torch_qnnpack", "average_pool", U8, False, True),
    named("adaptive_avg_pool2d u8, qnnpack", "torch_qnnpack", adapted, "qnnpack", "torch_qnnpack", QNNPACK, U8, True),
    named("max_pool2d u8, qnnpack", "torch_qnnpack", largest, "qnnpack", "torch_qnnpack", U8, False)]
