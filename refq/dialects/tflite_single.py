"""TensorFlow Lite's reference kernels, built with TFLITE_SINGLE_ROUNDING: one rounding, half up, of the exact product.

Everything else is as in the default build (tflite): the same multipliers, zero points and registers. A shift of more than 30 to
the left, which this build caps, is beyond what refq's programs hold.
"""
from dataclasses import replace

from refq.dialects import tflite
from refq.dialects.base import off_ties, tied

SOURCE = "tensorflow/tflite-micro tensorflow/lite/kernels/internal/common.h, TFLITE_SINGLE_ROUNDING, commit 90b983c2"


MULTIPLIED = ("rescale", "add", "mul", "leaky_relu", "softmax_table16")
"""Operations that call MultiplyByQuantizedMultiplier; HARD_SWISH and the exponentials have roundings of their own."""


def once(part):
    """A Role whose row rounds twice, as this build rounds."""
    if part.op == "softmax_gemmlowp":
        return replace(part, row=replace(part.row, most=30))
    if part.op not in MULTIPLIED or part.row.high == "none" or part.borrowed:
        return part
    return replace(part, row=replace(part.row, high="none", ties="half_up"))


roles = {name: once(part) for name, part in tflite.dialect.roles.items()}
dialect = replace(
    tflite.dialect,
    name="tflite_single",
    title="TensorFlow Lite reference kernels, single rounding",
    source=SOURCE,
    roles=roles,
    checks=tied(roles["rescale"], "half_up", SOURCE) + off_ties(roles["rescale"], 1, SOURCE),
)
