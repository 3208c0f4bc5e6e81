"""TVM's relay.quantize: grids of powers of two, one rounding, half up, in 32 bits; other ratios by a 31-bit multiplier.

A ratio that is a power of two is (x + 2**(n-1)) >> n, the same as half up with any multiplier that is one; the sum of two
tensors is exact on the finer of their grids and rounded once. Inputs are multiplied by the reciprocal of the scale, which for
powers of two is the same, and rounded half away. What this quantizer leaves in float (softmax, LayerNorm) is borrowed, and so
are registers over 32 bits.
"""
from refq.dialects import ivit, onnx, tosa
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import add, rescale, table

SOURCE = "apache/tvm src/relay/quantize/realize.cc, MulAndDiv and QuantizeRealize, as stored in 2022"

rescaled = Role("rescale", rescale.Row(ties="half_up"))
summed = Role("add", add.Row(left=15, high="none", ties="half_up"))
dialect = Dialect(
    name="tvm",
    title="TVM relay.quantize: powers of two, half up",
    source=SOURCE,
    date="2022-06",
    roles=exact | {"rescale": rescaled, "rescale_any": rescaled, "add": summed, "add_wide": summed,
                   "table": Role("table", table.Row(ties="half_away")), "gelu": Role("table", table.Row(ties="half_away"))}
    | tosa.dialect.borrow("rescale_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    asymmetric=(),
    scales="pow2",
    encode="half_away",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "half_up", SOURCE),
)
