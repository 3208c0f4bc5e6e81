"""Gemmini in its default configuration: sums of 32 bits, times a float32, rounded half to even; no zero points.

Three roundings are possible: the sum to float32, the product, the integer. Its configuration with an integer scale shifts with
rounding half to even instead (`op = "rescale"`, multiplier = "pow2" under [rescale]). A residual sum is scaled while it is moved
in, softmax and normalization have modes of their own: all borrowed here.
"""
from refq.dialects import ivit, onnx
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import rescale_float32, table

SOURCE = "ucb-bar/gemmini src/main/scala/gemmini/{Arithmetic,AccumulatorScale,Configs}.scala, commit 8c3f992"

rescaled = Role("rescale_float32", rescale_float32.Row(ratio="float32", ties="half_even", zero_point="after"))
dialect = Dialect(
    name="gemmini",
    title="Gemmini, default configuration: float32 scale, half to even",
    source=SOURCE,
    date="2023-06",
    roles=exact | {"rescale": rescaled, "table": Role("table", table.Row(ties="half_even")),
                   "gelu": Role("table", table.Row(ties="half_even"))}
    | onnx.dialect.borrow("rescale_wide", "add", "add_wide", "gelu_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm"),
    weights=(8,),
    asymmetric=(),
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "half_even", SOURCE),
)
