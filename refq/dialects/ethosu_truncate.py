"""Arm Ethos-U as Vela programs it, rounding mode TRUNCATE.

Towards zero, after the one multiplication. Registers of 16-bit activations take the multiplier without its low 16 bits, not
capped. Sums of two tensors are TFLite's by Vela's intent: borrowed, as are softmax and normalization.
"""
from dataclasses import replace

from refq.dialects import ethosu_tfl
from refq.dialects.base import Role, tied
from refq.ints.width import I48
from refq.ops import rescale

rescaled = Role("rescale", rescale.Row(multiplier="dyadic", ties="trunc"))
dialect = replace(
    ethosu_tfl.dialect,
    name="ethosu_truncate",
    title="Arm Ethos-U, TRUNCATE: toward zero",
    roles=ethosu_tfl.dialect.roles | {
        "rescale": rescaled,
        "rescale_wide": Role("rescale", rescale.Row(multiplier="dyadic15", ties="trunc", acc=I48)),
    },
    checks=tied(rescaled, "trunc", ethosu_tfl.SOURCE),
)
