"""TensorFlow Lite, reference kernels in their default build: two roundings, the first half up, the second half away.

LiteRT 2.3's reference kernels do just that, but for FULLY_CONNECTED (litert_reference); its fast kernels for x86 are tflite_ruy,
and XNNPACK is tflite_xnnpack (tools/engines/litert_*.py run all of them).

Registers of 16x8 products take a 15-bit multiplier and one rounding. The multiplier of MUL is made in float32, that of
BATCH_MATMUL of the float32 product of the scales; that of MEAN is divided by the number of summands in integers, behind a sum of
32 bits of the codes as they are; SUM is rescaled in float32. GELU of 8-bit codes is a table. There is no LayerNorm: it is
borrowed, and so is GELU of 16-bit codes. An input is quantized by a float32 quotient, ties away; what leaves 32 bits becomes the
lowest code. The ends of RELU6 and RELU_N1_TO_1 (role bound) become codes in the same way.
"""
from refq.dialects import ivit, onnx
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import (
    add,
    average_pool,
    dequantize,
    hard_swish,
    l2_norm,
    layernorm_lstm,
    leaky_relu,
    logistic_table16,
    mul,
    quantize,
    rescale,
    rescale_float32,
    softmax_gemmlowp,
    softmax_table16,
    table,
    table16,
)

SOURCE = "tensorflow/tflite-micro tensorflow/lite/kernels/internal/common.h, MultiplyByQuantizedMultiplier, commit 90b983c2"
TABLE = table.Row(ties="half_away", evaluated="reciprocal_float32")
DOUBLE = {"high": "half_up", "ties": "half_away"}
SUM = "tensorflow/tflite-micro tensorflow/lite/kernels/internal/reference/add.h, commit 90b983c2: s .05, .1 to .12"

dialect = Dialect(
    name="tflite",
    title="TensorFlow Lite reference kernels, double rounding",
    source=SOURCE,
    date="2026-10",
    roles=exact | {
        "rescale": Role("rescale", rescale.Row(**DOUBLE)),
        "rescale_wide": Role("rescale", rescale.Row(multiplier="q15", ties="half_up", acc=I48)),
        "rescale_batch_matmul": Role("rescale", rescale.Row(ratio="product_float32", **DOUBLE)),
        "rescale_mean": Role("rescale", rescale.Row(count="multiplier", **DOUBLE)),
        "rescale_mean_wide": Role("rescale", rescale.Row(count="multiplier", **DOUBLE)),
        "rescale_sum": Role("rescale_float32", rescale_float32.Row(ratio="float32", ties="half_away")),
        "requantize": Role("rescale", rescale.Row(**DOUBLE)),
        "requantize_wide": Role("rescale", rescale.Row(**DOUBLE)),
        "add": Role("add", add.Row(left=20, **DOUBLE)),
        "add_wide": Role("add", add.Row(left=15, **DOUBLE)),
        "sub": Role("add", add.Row(left=20, join="minus", **DOUBLE)),
        "sub_wide": Role("add", add.Row(left=15, join="minus", **DOUBLE)),
        "mul": Role("mul", mul.Row(**DOUBLE)),
        "mul_wide": Role("mul", mul.Row(**DOUBLE)),
        "gelu": Role("table", TABLE),
        "table": Role("table", TABLE),
        "table_wide": Role("table16", table16.Row()),
        "sigmoid": Role("table", TABLE),
        "sigmoid_wide": Role("logistic_table16", logistic_table16.Row(function="sigmoid")),
        "tanh": Role("table", TABLE),
        "tanh_wide": Role("logistic_table16", logistic_table16.Row(function="tanh")),
        "leaky_relu": Role("leaky_relu", leaky_relu.Row()),
        "leaky_relu_wide": Role("leaky_relu", leaky_relu.Row()),
        "hard_swish": Role("hard_swish", hard_swish.Row()),
        "l2_norm": Role("l2_norm", l2_norm.Row()),
        "layernorm_lstm": Role("layernorm_lstm", layernorm_lstm.Row()),
        "softmax": Role("softmax_gemmlowp", softmax_gemmlowp.Row()),
        "softmax_wide": Role("softmax_table16", softmax_table16.Row()),
        "average_pool": Role("average_pool", average_pool.Row()),
        "quantize": Role("quantize", quantize.Row(quotient="float32", ties="half_away", far="lowest_int32")),
        "bound": Role("quantize", quantize.Row(quotient="float32", ties="half_away", far="lowest_int32")),
        "dequantize": Role("dequantize", dequantize.Row(product="exact")),
    }
    | ivit.dialect.borrow("layernorm") | onnx.dialect.borrow("gelu_wide"),
    encode="half_away",
    accumulators={8: I32, 16: I48},
    checks=tuple(
        Check("rescale", rescale.Row(**DOUBLE), {"acc": [[acc]], "zin": 0, "mult": [m], "shift": [31 - s], "zp": 0},
              [[y]], SOURCE)
        for acc, m, s, y in ((1, 1 << 30, 0, 1), (-1, 1 << 30, 0, 0), (-3, 1 << 30, 0, -1), (-10, 1 << 30, -1, -3),
                             (1553, 1083860905, -5, 25), (3180, 1323544176, -4, 123), (-450, 1248901663, -2, -66),
                             (-760, 2089687561, -3, -93), (1999, 1177086202, -4, 69), (-534, 1447038007, -4, -23)))
    + (Check("add", add.Row(**DOUBLE), {"a": [10], "b": [20], "za": 0, "zb": 3, "ma": 1 << 30, "sa": 32, "mb": 1 << 30, "sb": 31,
                                        "mo": 1789569707, "so": 50, "zo": -1}, [17], SUM),),
)
