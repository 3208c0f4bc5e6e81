"""PackQViT: softmax to the base two with 4-bit logarithms behind it, an integer GELU, an integer LayerNorm: our readings.

What was published trains in float: 2**(x - max x) over their sum, its logarithm in 4 bits, hard swish in place of GELU, clipped
to -10 .. 10, LayerNorm as it is, with a power of two for the channels of its input. The integer forms are stated by refq. Shares
are to the base e here, because weights that are given were trained with it, and the gate of GELU is the straight one nearest to
GELU; Row(base="two", shares="geometric", out=U5) and Row(reach=3.0), as role hard_swish has it, are what was released. LayerNorm
is FQ-ViT's: the quantizer in front of it is the same, line for line. Products and rescales, which nobody states, are borrowed;
so is GELU of 16-bit codes.

The clip is for networks that were trained with it: one whose GELU gives more than 10 loses it. In the head of a small ViT of
digits (vit_d64) 1.8 dB of it are left: 287 of 300 images right; with a table in its place 295, where float has 293.
"""
from refq.dialects import fqvit, ivit
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import gelu_hard, softmax_base2, table

SOURCE = "PackQViT, NeurIPS 2023; PeiyanFlying/PackQViT Quant.py, commit 3753234: our reading"

dialect = Dialect(
    name="packqvit",
    title="PackQViT: softmax to the base two, log2 attention; integer forms as refq reads them",
    source=SOURCE,
    date="2024-06",
    roles=exact | {
        "softmax": Role("softmax_base2", softmax_base2.Row()),
        "softmax_wide": Role("softmax_base2", softmax_base2.Row(acc=I48)),
        "gelu": Role("gelu_hard", gelu_hard.Row()),
        "hard_swish": Role("gelu_hard", gelu_hard.Row(reach=3.0)),
        "table": Role("table", table.Row(ties="half_even")),
    } | fqvit.dialect.borrow("layernorm") | ivit.dialect.borrow("rescale", "rescale_wide", "add", "add_wide", "gelu_wide"),
    activations=(4, 8, 16),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tuple(Check("softmax_base2", softmax_base2.Row(), {"q": [[7] * count], "mult": 1 << 14, "shift": 6}, [[code] * count],
                       f"{SOURCE}: a share of 1/{count}, of which the next logarithm begins at 1.5 * 2**k")
                 for count, code in ((1, 0), (2, 1), (3, 2), (5, 2), (6, 3), (11, 3), (12, 4), (23, 4), (24, 5))),
)
