"""FQ-ViT: attention as powers of two, and residual streams whose channels have powers of two as factors.

Its own are Log-Int-Softmax and the LayerNorm that reads the factors; products, rescales and sums the authors simulate in
float32, so these are borrowed: I-ViT's dyadic numbers, rounded half to even as they round. GELU stays a real function of 8-bit
codes there: a table. Activations are unsigned there and signed here, every code and zero point less by 128, which is the same;
weights are quantized by max|w| / 127.5 there, by max|w| / 127 here.

Attention has 17 levels in the authors' code, 2**0 to 2**-15 and 0; four bits hold 16, and here 2**-15 is the one given up.
LayerNorm's root, quotients, multipliers and offsets, which they leave to float32, are integers here (refq show layernorm_fqvit).
"""
from refq.dialects import ivit
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import layernorm_fqvit, log_int_softmax, table

SOURCE = "Lin et al., FQ-ViT, IJCAI 2022 (arXiv 2111.13824); megvii-research/FQ-ViT models/ptq/layers.py, commit 5daf591"

dialect = Dialect(
    name="fqvit",
    title="FQ-ViT: log2 attention, factors for the channels of what LayerNorm reads",
    source=SOURCE,
    date="2022-07",
    roles=exact | {
        "softmax": Role("log_int_softmax", log_int_softmax.Row()),
        "softmax_wide": Role("log_int_softmax", log_int_softmax.Row(n=20)),
        "layernorm": Role("layernorm_fqvit", layernorm_fqvit.Row()),
        "gelu": Role("table", table.Row(ties="half_even")),
        "table": Role("table", table.Row(ties="half_even")),
    } | ivit.dialect.borrow("rescale", "rescale_wide", "add", "add_wide", "gelu_wide"),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tuple(Check("log_int_softmax", log_int_softmax.Row(), {"q": [[7] * count], "x0": -12, "b": 43, "c": 714},
                       [[code] * count], f"{SOURCE}: log_round of {count}")
                 for count, code in ((1, 0), (2, 1), (3, 2), (5, 2), (6, 3), (11, 3), (12, 4), (23, 4), (24, 5))),
)
