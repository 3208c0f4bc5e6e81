"""TOSA 1.0 with the extension DOUBLE_ROUND: TFLite's two roundings, where a shift is longer than 31.

The specification adds 2**30 to the rounding term for sums from 0 on and takes it off below 0, and shifts once; that is the same
as half up at bit 31 and then half away. The 15-bit multiplier of 48-bit registers always rounds once, and so do the rescales of
the operands of a quantized ADD: they shift by 31 or less.
"""
from dataclasses import replace

from refq.dialects import tosa
from refq.dialects.base import Role, off_ties, tied
from refq.ops import add, mul, rescale

SOURCE = "arm/tosa-specification pseudocode/library/scale_helpers.tosac, apply_scale_32 with double_round, commit cd5acdd"
DOUBLE = {"high": "half_up", "ties": "half_away"}

rescaled = Role("rescale", rescale.Row(**DOUBLE))
dialect = replace(
    tosa.dialect,
    name="tosa_double",
    title="TOSA 1.0 integer profile, DOUBLE_ROUND",
    source=SOURCE,
    roles=tosa.dialect.roles | {
        "rescale": rescaled, "add": Role("add", add.Row(left=20, alone="half_up", **DOUBLE)),
        "add_wide": Role("add", add.Row(left=15, alone="half_up", **DOUBLE)),
        "sub": Role("add", add.Row(left=20, join="minus", alone="half_up", **DOUBLE)),
        "sub_wide": Role("add", add.Row(left=15, join="minus", alone="half_up", **DOUBLE)),
        "mul": Role("mul", mul.Row(ratio="float64", **DOUBLE)), "mul_wide": Role("mul", mul.Row(ratio="float64", **DOUBLE))},
    checks=tied(rescaled, "twice", SOURCE) + off_ties(rescaled, 2, SOURCE),
)
