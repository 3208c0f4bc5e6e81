"""PULP, Deeploy's generic target: RequantShift, y = clip((x * mul + add + half) >> n), in 32 bits; one n for all channels.

`add` is 0 here, since biases are in the sum already. quantlib's default n is 24, which leaves 32 bits no room beyond 8-bit
codes; here a result of b bits has n = 28 - b, so that 32 bits hold 16 times the codes (form = "fixed24" takes quantlib's). A
product that leaves 32 bits is undefined in C; compiled, its low bits stay. Ratios that leave the multiplier less than 4 bits,
sums of two tensors, softmax (after I-BERT's) and normalization are borrowed.
"""
from refq.dialects import ivit, onnx, tosa, tvm
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import rescale_preshift, table

SOURCE = "pulp-platform/Deeploy TargetLibraries/Generic/src/RequantShift_s8.c, commit 0f8a873a; quantlib bn_act_to_requant"

rescaled = Role("rescale_preshift", rescale_preshift.Row(form="fixed", ratio="float32"))
dialect = Dialect(
    name="pulp",
    title="PULP, Deeploy's generic RequantShift",
    source=SOURCE,
    date="2025-06",
    roles=exact | {"rescale": rescaled, "table": Role("table", table.Row(ties="half_up")),
                   "gelu": Role("table", table.Row(ties="half_up"))}
    | tosa.dialect.borrow("rescale_wide", "add", "add_wide") | tvm.dialect.borrow("rescale_any")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    asymmetric=(),
    encode="half_up",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "half_up", SOURCE),
)
