"""TensorFlow Lite Micro's reference kernels: TFLite's, with its own sigmoid and tanh, in fixed point.

Its LEAKY_RELU makes the multiplier in float64, and the tables of its 16-bit softmax in float32. The wheel tflite-micro runs these
(tools/engines/tflite_micro.py).
"""
from dataclasses import replace

from refq.dialects import tflite
from refq.dialects.base import Role
from refq.ops import leaky_relu, logistic_fixed, softmax_table16

dialect = replace(
    tflite.dialect,
    name="tflm",
    title="TensorFlow Lite Micro, reference kernels",
    source="tensorflow/tflite-micro tensorflow/lite/micro/kernels/{logistic_common,tanh,leaky_relu_common,softmax_common}.cc, "
           "commit 90b983c2; tflite-micro 0.dev20261023, run",
    date="2026-11",
    roles=tflite.dialect.roles | {
        "sigmoid": Role("logistic_fixed", logistic_fixed.Row(function="sigmoid")),
        "tanh": Role("logistic_fixed", logistic_fixed.Row(function="tanh")),
        "leaky_relu": Role("leaky_relu", leaky_relu.Row(ratio="float64")),
        "leaky_relu_wide": Role("leaky_relu", leaky_relu.Row(ratio="float64")),
        "softmax_wide": Role("softmax_table16", softmax_table16.Row(evaluated="float32")),
    },
)
