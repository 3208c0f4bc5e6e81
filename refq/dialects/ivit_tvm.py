"""I-ViT as its TVM benchmark runs it: relay.qnn's requantize, one rounding, half up, of a 31-bit multiplier; forms in int32.

A scale is the float32 product of two over a third, the quotient in float64. Sums of two tensors are relay.qnn.add's: both
operands rescaled to the result's grid. The nonlinear operations are not those of the authors' PyTorch code: the code of -1 is
one lower where 1/scale is whole, the half of an exponential is taken first, softmax works with 16 bits more and leaves 8, GELU's
with 23, and registers of 32 bits wrap. LayerNorm reads a stream of 16 bits, whose sum relay.mean makes in 16 bits too, so that
it wraps, and whose mean is cut toward 0; squares are summed in 32 bits without a sign, and u is halved toward 0. Squares of full
16-bit codes would wrap too: here the stream is rescaled to fewer bits in front of a LayerNorm, until they cannot. For codes of
16 bits in softmax and GELU, which the benchmark has not, I-ViT's are borrowed.
"""
from dataclasses import replace

from refq.dialects import ivit
from refq.dialects.base import Check, Role, tied
from refq.ints.width import I8
from refq.ops import add, ilayernorm_int32, rescale, shiftgelu_int32, shiftmax

SOURCE = "zkkli/I-ViT TVM_benchmark/models/layers.py, commit 302e3919; apache/tvm src/relay/qnn/op/requantize.cc"

rescaled = Role("rescale", rescale.Row(ratio="product_float32", ties="half_up"))
summed = Role("add", add.Row(left=0, high="none", ties="half_up", joined=False))
softmax = Role("shiftmax", shiftmax.Row(n=16, unit="beyond", half="first", out=I8))
gelu = Role("shiftgelu_int32", shiftgelu_int32.Row())
layernorm = Role("ilayernorm_int32", ilayernorm_int32.Row())
dialect = replace(
    ivit.dialect,
    name="ivit_tvm",
    title="I-ViT, the authors' TVM benchmark",
    source=SOURCE,
    roles=ivit.dialect.roles | {"rescale": rescaled, "add": summed, "add_wide": summed, "softmax": softmax, "gelu": gelu,
                                "layernorm": layernorm} | ivit.dialect.borrow("softmax_wide", "gelu_wide", "rescale_wide"),
    checks=(*tied(rescaled, "half_up", SOURCE),
            Check("shiftmax", softmax.row, {"q": [[0, -8, -16, -64]], "x0": -17}, [[61, 39, 25, 1]],
                  "the formulas at scale 1/16, by fractions; I-ViT's PyTorch form gives 61, 40, 24, 1"),
            Check("shiftgelu_int32", gelu.row, {"q": [[-64, -16, 0, 16, 64]], "zp": 0, "x0": -10},
                  [[0, -320, 0, 1664, 8000]], "the same; the PyTorch form gives 0, -352, 0, 1696, 8000")),
)
