"""CMSIS-NN, built with CMSIS_NN_USE_SINGLE_ROUNDING: one rounding, half up.

The C form is ((v * m) >> (30 - s)) + 1 >> 1, the same as half up once. Helium's predicated form (arm_requantize_mve_pred) still
rounds twice in this build, half up both times: a device that runs it is this dialect with `high = "half_up"` under [rescale].
"""
from dataclasses import replace

from refq.dialects import tflite_single
from refq.dialects.base import off_ties, tied

SOURCE = "ARM-software/CMSIS-NN Include/arm_nnsupportfunctions.h, CMSIS_NN_USE_SINGLE_ROUNDING, commit 99f736a6"

rescale = tflite_single.dialect.roles["rescale"]
dialect = replace(
    tflite_single.dialect,
    name="cmsis_nn_single",
    title="CMSIS-NN, single rounding",
    source=SOURCE,
    checks=tied(rescale, "half_up", SOURCE) + off_ties(rescale, 1, SOURCE),
)
