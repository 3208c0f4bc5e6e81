"""I-ViT as its TVM benchmark runs it: relay.qnn's requantize, one rounding, half up, of a 31-bit multiplier.

A scale is the float32 product of two over a third, the quotient in float64. Softmax works with 16 bits more and leaves 8, GELU's
with 23. Where 1/scale is a whole number the benchmark's code of -1 may be one lower than the paper's, by a float32 quotient that
is cut off: here the paper's is taken. Sums of two tensors are relay.qnn.add's: both operands rescaled to the result's grid.
"""
from dataclasses import replace

from refq.dialects import ivit
from refq.dialects.base import Role, tied
from refq.ints.width import I8
from refq.ops import add, rescale, shiftgelu, shiftmax

SOURCE = "zkkli/I-ViT TVM_benchmark/models/layers.py, commit 302e3919; apache/tvm src/relay/qnn/op/requantize.cc"

rescaled = Role("rescale", rescale.Row(ratio="product_float32", ties="half_up"))
summed = Role("add", add.Row(left=0, high="none", ties="half_up", joined=False))
roles = ivit.dialect.roles | {
    "rescale": rescaled, "add": summed, "add_wide": summed, "softmax": Role("shiftmax", shiftmax.Row(n=16, out=I8)),
    "gelu": Role("shiftgelu", shiftgelu.Row(n=23, bits=8)),
} | ivit.dialect.borrow("softmax_wide", "gelu_wide", "rescale_wide")
dialect = replace(
    ivit.dialect,
    name="ivit_tvm",
    title="I-ViT, the authors' TVM benchmark",
    source=SOURCE,
    roles=roles,
    checks=tied(rescaled, "half_up", SOURCE),
)
