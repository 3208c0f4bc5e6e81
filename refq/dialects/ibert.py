"""I-BERT: a dyadic multiplier, the product in float64, rounded half to even; everything is symmetric.

The authors round a product of more than 53 bits to float64 first, so that a value just above a tie can become one. A residual
sum is each operand rescaled alone, added and clipped. Weights are clipped to -127..126 by the authors, here to -127..127. Its
own integer softmax, GELU and LayerNorm come later: I-ViT's are borrowed.
"""
from refq.dialects import ivit
from refq.dialects.base import Check, Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import add, rescale_float64, table

SOURCE = "Kim et al., I-BERT, ICML 2021; kssteven418/I-BERT fairseq/quantization/utils/quant_utils.py, commit 2b694279"

rescaled = Role("rescale_float64", rescale_float64.Row())
summed = Role("add", add.Row(left=0, multiplier="dyadic", high="none", ties="half_even", joined=False))
dialect = Dialect(
    name="ibert",
    title="I-BERT: dyadic multipliers in float64, half to even",
    source=SOURCE,
    date="2021-06",
    roles=exact | {"rescale": rescaled, "add": summed, "add_wide": summed, "table": Role("table", table.Row(ties="half_even"))}
    | ivit.dialect.borrow("rescale_wide", "softmax", "softmax_wide", "layernorm", "gelu", "gelu_wide"),
    weights=(8,),
    asymmetric=(),
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=(*tied(rescaled, "half_even", SOURCE),
            Check("rescale_float64", rescaled.row,
                  {"acc": [[1065657421]], "zin": 0, "mult": [1504499885], "shift": [55], "zp": 0}, [[44]],
                  f"{SOURCE}: 44.5 and 9 * 2**-55 more, which float64 holds as 44.5")),
)
