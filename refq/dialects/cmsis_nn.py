"""CMSIS-NN, Arm's kernels for microcontrollers, in their default build: TFLite's two roundings.

The first lacks gemmlowp's one saturating case, which no multiplier of a scale reaches. Registers of 16x8 products take a 15-bit
multiplier and one rounding. Weights may have 4 bits, two in a byte, the first in the low ones. The inline assembly
and the Helium forms are meant to give the same bits; one predicated Helium form in the build with one rounding does not
(cmsis_nn_single).
"""
from dataclasses import replace

from refq.dialects import tflite
from refq.dialects.base import off_ties, tied

SOURCE = "ARM-software/CMSIS-NN Include/arm_nnsupportfunctions.h, arm_nn_requantize, commit 99f736a6"

rescale = tflite.dialect.roles["rescale"]
dialect = replace(
    tflite.dialect,
    name="cmsis_nn",
    title="CMSIS-NN, default build, double rounding",
    source=SOURCE,
    checks=tied(rescale, "twice", SOURCE) + off_ties(rescale, 2, SOURCE),
)
