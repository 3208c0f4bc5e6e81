"""ONNX Runtime's pools of codes: QLinearAveragePool in float32 values, QLinearGlobalAveragePool by one product, MaxPool."""

import numpy as np

from refq.ints.width import I8, U8
from tools.engines.onnx_models import MICROSOFT, run, version  # noqa: F401
from tools.engines.pool_models import whole, windowed
from tools.engines.qlinear_models import named

DIALECT, NAMES = "ort_x86", "x sx zx sy zy"


def geometry(rng, h, w):
    """A window, its strides, and padding below its size."""
    kernel, stride = (tuple(int(v) for v in rng.integers(1, most, 2)) for most in (6, 4))
    return {"kernel": kernel, "stride": stride, "padding": tuple(int(rng.integers(0, k)) for k in kernel * 2)}


def spread(rng, h, w):
    """The same, dilated."""
    fields = geometry(rng, h, w)
    dilation = tuple(int(rng.integers(1, 3)) for _ in "hw")
    return {**fields, "padding": tuple(p // 2 for p in fields["padding"]), "dilation": dilation}


def attributes(fields):
    return {"kernel_shape": list(fields["kernel"]), "strides": list(fields["stride"]), "pads": list(fields["padding"])}


def quantized(drawn, op, last, **how):
    """A contributed operation on its codes, whose channels lie last or first; the result (n h w c)."""
    x = drawn.q if last else np.ascontiguousarray(drawn.q.transpose(0, 3, 1, 2))
    feeds = {"x": x, "sx": drawn.s_in, "zx": x.dtype.type(drawn.zin), "sy": drawn.s_y, "zy": x.dtype.type(drawn.zp)}
    y, = run(feeds, (op, NAMES, "y", {**how, "channels_last": int(last), **MICROSOFT}))
    return y if last else y.transpose(0, 2, 3, 1)


def averaged(dialect, width, last, rng):
    """QLinearAveragePool; what lies in the padding counts or does not."""
    drawn, every = windowed(rng, width, geometry), bool(rng.integers(0, 2))
    counts = "all" if every else "valid"
    theirs = quantized(drawn, "QLinearAveragePool", last, count_include_pad=int(every), **attributes(drawn.geometry))
    return drawn.compared(drawn.mean(dialect, "average_pool", counts=counts), theirs, counts=counts)


def averaged_whole(dialect, width, last, rng):
    """QLinearGlobalAveragePool."""
    drawn = whole(rng, width)
    return drawn.compared(drawn.mean(dialect, "average_pool_global"), quantized(drawn, "QLinearGlobalAveragePool", last))


def largest(dialect, width, rng):
    """MaxPool of codes."""
    drawn = windowed(rng, width, spread, limit=9)
    x = np.ascontiguousarray(drawn.q.transpose(0, 3, 1, 2))
    y, = run({"x": x}, ("MaxPool", "x", "y", {**attributes(drawn.geometry), "dilations": list(drawn.geometry["dilation"])}))
    return drawn.compared_largest(drawn.largest(dialect), y.transpose(0, 2, 3, 1))


campaigns = [
    *(named(f"{said} {width}, channels {'last' if last else 'first'}", DIALECT, batch, DIALECT, width, last)
      for said, batch in (("QLinearAveragePool", averaged), ("QLinearGlobalAveragePool", averaged_whole))
      for width in (U8, I8) for last in (True, False)),
    *(named(f"MaxPool {width}", DIALECT, largest, DIALECT, width) for width in (U8, I8))]
