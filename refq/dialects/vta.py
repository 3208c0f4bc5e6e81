"""VTA, the bare hardware: sums wrap in 32 bits, the shift to the right floors, and a store keeps the low 8 bits of a register.

Grids are powers of two, weights and activations 8 bits, without zero points. There is no rounding shift and no saturation: a
compiler adds 2**(n-1) and clips by MIN and MAX before it stores, which is what dialect tvm does; here nobody does. So a result
beyond the codes wraps. Codes of 16 bits (a residual stream), sums of two tensors and ratios that are no power of two are not
the hardware's and are borrowed.
"""
from refq.dialects import ivit, onnx, tosa, tvm
from refq.dialects.base import Check, Dialect, Role, exact, tied
from refq.ints.accumulate import Accumulate
from refq.ints.width import I32, I48
from refq.ops import batch_matmul, conv2d, conv_transpose2d, matmul, rescale, table

SOURCE = "apache/tvm-vta hardware/xilinx/src/vta.cc, hardware/chisel/src/main/scala/core/TensorAlu.scala, commit d4a15f6"

rescaled = Role("rescale", rescale.Row(multiplier="pow2", ties="floor", store="wrap"))
WRAPS = Accumulate(overflow="wrap")
dialect = Dialect(
    name="vta",
    title="VTA hardware: floor, the low 8 bits",
    source=SOURCE,
    date="2020-06",
    roles=exact | {
        "matmul": Role("matmul", matmul.Row(accumulate=WRAPS)),
        "batch_matmul": Role("batch_matmul", batch_matmul.Row(accumulate=WRAPS)),
        "conv2d": Role("conv2d", conv2d.Row(accumulate=WRAPS)),
        "conv_transpose2d": Role("conv_transpose2d", conv_transpose2d.Row(accumulate=WRAPS)),
        "rescale": rescaled,
        "table": Role("table", table.Row(ties="half_away")),
        "gelu": Role("table", table.Row(ties="half_away")),
    }
    | tosa.dialect.borrow("rescale_wide") | tvm.dialect.borrow("rescale_any", "add", "add_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    asymmetric=(),
    scales="pow2",
    encode="half_away",
    accumulators={8: I32, 16: I48},
    checks=(*tied(rescaled, "floor", SOURCE),
            *(Check("rescale", rescaled.row, {"acc": [[acc]], "zin": 0, "mult": [1], "shift": [s], "zp": 0}, [[y]],
                    f"{SOURCE}: the low 8 bits of the shifted register")
              for acc, s, y in ((300, 1, -106), (-300, 1, 106), (1 << 20, 4, 0), (127, 0, 127), (128, 0, -128)))),
)
