"""Vitis AI's DPU: grids of powers of two, one rounding, DPU_ROUND = floor(x + 0.5); no zero points.

A sum of two tensors is exact on the coarser of their grids and rounded once. Biases have 8 bits and a grid of their own on the
device; refq's have the product's, which is finer. Weights and biases become codes half away (STD_ROUND), activations by
DPU_ROUND. Codes of 16 bits, ratios that are no power of two, softmax and normalization are not the device's: borrowed.
"""
from refq.dialects import ivit, onnx, tosa, tvm
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import add, average_pool, rescale, table

SOURCE = "Xilinx/Vitis-AI src/vai_library/cpu_task/ops/{fix,conv2d-fix}, src/vai_quantizer, vitis_round.py, commit b2b22792"

rescaled = Role("rescale", rescale.Row(multiplier="pow2", ties="half_up"))
summed = Role("add", add.Row(left=15, high="none", ties="half_up"))
dialect = Dialect(
    name="dpu",
    title="Vitis AI DPU: powers of two, half up",
    source=SOURCE,
    date="2022-06",
    roles=exact | {"rescale": rescaled, "add": summed, "add_wide": summed, "table": Role("table", table.Row(ties="half_up")),
                   "average_pool": Role("average_pool", average_pool.Row(multiplier="coarse", zero_point="taken", counts="all",
                                                                         ties="half_up")),
                   "gelu": Role("table", table.Row(ties="half_up"))}
    | tosa.dialect.borrow("rescale_wide") | tvm.dialect.borrow("rescale_any")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    asymmetric=(),
    narrow=False,
    scales="pow2",
    encode="half_up",
    encode_weights="half_away",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "half_up", SOURCE),
)
