"""TOSA 1.0: one rounding, half up, of the exact product with a 31-bit multiplier; 48-bit registers take a 15-bit one.

GELU of 8-bit codes is TOSA's TABLE. Softmax is the chain of operators that TFLite's becomes, with the same bits; of 16-bit codes
as published while a RESCALE to 16 bits could have a zero point, and saturated: dialect tosa_converter has what came after it.
Normalization is borrowed.
"""
from refq.dialects import ivit, onnx
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import (
    add,
    average_pool,
    cast,
    elementwise,
    gather,
    mul,
    reduce,
    rescale,
    softmax_table16,
    softmax_tosa,
    table,
    table16,
)

SOURCE = "arm/tosa-specification pseudocode/library/scale_helpers.tosac, apply_scale_32, commit cd5acdd"

dialect = Dialect(
    name="tosa",
    title="TOSA 1.0 integer profile, SINGLE_ROUND",
    source=SOURCE,
    date="2025-05",
    roles=exact | {
        "elementwise": Role("elementwise", elementwise.Row(overflow="refuse")),
        "reduce": Role("reduce", reduce.Row(overflow="refuse")),
        "cast": Role("cast", cast.Row()),
        "gather": Role("gather", gather.Row()),
        "table_wide": Role("table16", table16.Row(reading="raised")),
        "rescale": Role("rescale", rescale.Row(ties="half_up")),
        "rescale_wide": Role("rescale", rescale.Row(multiplier="q15", ties="half_up", acc=I48)),
        "add": Role("add", add.Row(left=20, high="none", ties="half_up")),
        "add_wide": Role("add", add.Row(left=15, high="none", ties="half_up")),
        "sub": Role("add", add.Row(left=20, high="none", ties="half_up", join="minus")),
        "sub_wide": Role("add", add.Row(left=15, high="none", ties="half_up", join="minus")),
        "mul": Role("mul", mul.Row(ratio="float64", high="none", ties="half_up")),
        "mul_wide": Role("mul", mul.Row(ratio="float64", high="none", ties="half_up")),
        "average_pool": Role("average_pool", average_pool.Row(multiplier="reciprocal30", zero_point="taken", ties="half_up")),
        "softmax": Role("softmax_tosa", softmax_tosa.Row()),
        "softmax_wide": Role("softmax_table16", softmax_table16.Row()),
        "gelu": Role("table", table.Row(ties="half_away")),
        "table": Role("table", table.Row(ties="half_away")),
    } | ivit.dialect.borrow("layernorm") | onnx.dialect.borrow("gelu_wide"),
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tuple(
        Check("rescale", rescale.Row(ties="half_up"), {"acc": [[acc]], "zin": 0, "mult": [m], "shift": [31 - s], "zp": 0},
              [[y]], f"{SOURCE}: SINGLE_ROUND")
        for acc, m, s, y in ((1, 1 << 30, 0, 1), (-1, 1 << 30, 0, 0), (-3, 1 << 30, 0, -1), (-10, 1 << 30, -1, -2),
                             (1553, 1083860905, -5, 24), (-450, 1248901663, -2, -65), (1999, 1177086202, -4, 68))),
)
