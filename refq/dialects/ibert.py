"""I-BERT: dyadic multipliers in float64, half to even; softmax, GELU and LayerNorm of its own; everything is symmetric.

The authors round a product of more than 53 bits to float64 first, so that a value just above a tie can become one. A residual
sum is each operand rescaled alone, added and clipped. Weights are clipped to -127..126 by the authors, here to -127..127. Their
softmax, GELU and LayerNorm carry integers in float32; here they are exact. GELU reads the accumulators of the layer before it,
a scale for each channel, as theirs does: at the scale of 8-bit codes nothing of it would be left. Shares have 8 bits and, here,
are rescaled before the product with V, which reads signed codes; the residual stream has 16 bits, where the authors' has 22.
"""
from refq.dialects import ivit
from refq.dialects.base import Check, Dialect, Role, exact, tied
from refq.ints.width import I16, I32, I48, U16
from refq.ops import add, gelu_ibert, layernorm_ibert, rescale_float64, softmax_ibert, table

SOURCE = "Kim et al., I-BERT, ICML 2021; kssteven418/I-BERT fairseq/quantization/utils/quant_utils.py, commit 2b694279"

rescaled = Role("rescale_float64", rescale_float64.Row())
summed = Role("add", add.Row(left=0, multiplier="dyadic", high="none", ties="half_even", joined=False))
shared = Role("softmax_ibert", softmax_ibert.Row())
curved = Role("gelu_ibert", gelu_ibert.Row())
gelu = gelu_ibert.build(curved.row, 2.0 ** -18, 0)
GELU = (2479579463680, 2202808221696, -5411392454656, -12748821889024, -29903256813568)
"""The authors' integers, whose unit is negative, before refq's last shift."""
dialect = Dialect(
    name="ibert",
    title="I-BERT: dyadic multipliers in float64, half to even",
    source=SOURCE,
    date="2021-06",
    roles=exact | {
        "rescale": rescaled, "add": summed, "add_wide": summed, "table": Role("table", table.Row(ties="half_even")),
        "softmax": shared,
        "softmax_wide": Role("softmax_ibert", softmax_ibert.Row(bits=16, q=I16, out=U16)),
        "gelu": curved, "gelu_wide": curved,
        "layernorm": Role("layernorm_ibert", layernorm_ibert.Row()),
    } | ivit.dialect.borrow("rescale_wide"),
    weights=(8,),
    asymmetric=(),
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=(*tied(rescaled, "half_even", SOURCE),
            Check("rescale_float64", rescaled.row,
                  {"acc": [[1065657421]], "zin": 0, "mult": [1504499885], "shift": [55], "zp": 0}, [[44]],
                  f"{SOURCE}: 44.5 and 9 * 2**-55 more, which float64 holds as 44.5"),
            Check("softmax_ibert", shared.row, {"q": [[0, -8, -16, -64]]} | softmax_ibert.build(shared.row, 2.0 ** -4, 0),
                  [[126, 76, 49, 3]], "I-BERT, section 3.5, at scale 1/16: exponents 32767, 19917, 12804, 800"),
            Check("gelu_ibert", curved.row, {"q": [[-(1 << 18)], [-(1 << 17)], [1 << 17], [1 << 18], [1 << 19]]} | gelu,
                  [[-y >> gelu["fall"][0]] for y in GELU], "I-BERT, section 3.4, at scale 2**-18: x of -1, -0.5, 0.5, 1, 2")),
)
