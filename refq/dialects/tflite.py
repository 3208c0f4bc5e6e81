"""TensorFlow Lite, reference kernels in their default build: two roundings, the first half up, the second half away.

LiteRT 2.3's reference CONV_2D does just that; its reference FULLY_CONNECTED rounds once, half away, XNNPACK once, half to even,
and ruy twice, half up both times (tests/vectors/diagnosis/test_judged_blackbox.py runs them).

Registers of 16x8 products take a 15-bit multiplier and one rounding. GELU of 8-bit codes is a table. TFLite's own softmax
and MEAN (whose multiplier is divided in integers) come later and it has no LayerNorm: they are borrowed, and so is GELU of
16-bit codes. TFLite quantizes an input by a float32 quotient; here the exact one decides, and they differ in a few in a million.
"""
from refq.dialects import ivit, onnx, tosa
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import add, rescale, table

SOURCE = "tensorflow/tflite-micro tensorflow/lite/kernels/internal/common.h, MultiplyByQuantizedMultiplier, commit 90b983c2"
DOUBLE = {"high": "half_up", "ties": "half_away"}

dialect = Dialect(
    name="tflite",
    title="TensorFlow Lite reference kernels, double rounding",
    source=SOURCE,
    date="2026-10",
    roles=exact | {
        "rescale": Role("rescale", rescale.Row(**DOUBLE)),
        "rescale_wide": Role("rescale", rescale.Row(multiplier="q15", ties="half_up", acc=I48)),
        "add": Role("add", add.Row(left=20, **DOUBLE)),
        "add_wide": Role("add", add.Row(left=15, **DOUBLE)),
        "gelu": Role("table", table.Row(ties="half_away")),
        "table": Role("table", table.Row(ties="half_away")),
    }
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide")
    | tosa.dialect.borrow("mean"),
    encode="half_away",
    accumulators={8: I32, 16: I48},
    checks=tuple(
        Check("rescale", rescale.Row(**DOUBLE), {"acc": [[acc]], "zin": 0, "mult": [m], "shift": [31 - s], "zp": 0},
              [[y]], SOURCE)
        for acc, m, s, y in ((1, 1 << 30, 0, 1), (-1, 1 << 30, 0, 0), (-3, 1 << 30, 0, -1), (-10, 1 << 30, -1, -3),
                             (1553, 1083860905, -5, 25), (3180, 1323544176, -4, 123), (-450, 1248901663, -2, -66),
                             (-760, 2089687561, -3, -93), (1999, 1177086202, -4, 69), (-534, 1447038007, -4, -23))),
)
