"""QNNPACK as PyTorch carries it: its own fork, which rescales in float32, where the original has fixed point (qnnpack).

The multiplier is f32(f32(s_x*s_w) * f32(1 / s_y)), half to even, the zero point after the rounding; a product beyond 32 bits
becomes the lowest int32 (SSE2). A float bias becomes int32 codes of s_x*s_w, by the reciprocal, half to even. Signed weights
are stored as unsigned bytes, 128 higher, and so is their zero point: nothing of a result changes. Activations have all
8 bits (reduce_range is ignored).

The sum of unsigned bytes is QNNPACK's own, with multipliers of 22 bits; signed ones, and products, are PyTorch's or XNNPACK's
(see elementwise in fbgemm, which also tells how grids are chosen). Its hard_swish of unsigned bytes has the zero point inside
the rounding; signed ones (role hard_swish_i8) are PyTorch's too, and so are the other functions of codes.
"""
from dataclasses import replace

from refq.dialects import fbgemm
from refq.dialects.base import Check, Role
from refq.ints.width import I48
from refq.ops import add_weighted, average_pool_float32, dequantize_bias, rescale_float32, table

RESCALE = {"ratio": "reciprocal_float32", "far": "lowest_int32"}

dialect = replace(
    fbgemm.dialect,
    name="torch_qnnpack",
    title="PyTorch's fork of QNNPACK on x86: float32 rescale",
    source="pytorch/pytorch aten/src/ATen/native/quantized/cpu/qnnpack/src/q8gemm, qlinear.cpp; run in torch "
           "2.13",
    roles={k: v for k, v in fbgemm.dialect.roles.items() if k not in ("rescale_bias", "rescale_conv2d")} | {
        "average_pool": Role("average_pool_float32", average_pool_float32.Row(ratio="float32", counts="all")),
        "rescale": Role("rescale_float32", rescale_float32.Row(**RESCALE)),
        "rescale_wide": Role("rescale_float32", rescale_float32.Row(acc=I48, **RESCALE)),
        "dequantize_bias": Role("dequantize_bias", dequantize_bias.Row()),
        "add_i8": fbgemm.elementwise["add"],
        "add": Role("add_weighted", add_weighted.Row(bits=22, ties="half_away")),
        "hard_swish_i8": fbgemm.elementwise["hard_swish"],
        "hard_swish": Role("table", table.Row(ties="half_even", evaluated="reciprocal_float32", zero_point="inside")),
    },
    checks=tuple(
        Check("rescale_float32", rescale_float32.Row(**RESCALE), {"acc": [[acc]], "zin": 0, "scale": [2.0 ** -k], "zp": zp},
              [[y]], "PyTorch 2.13, engine qnnpack: quantized::linear with scales that are powers of two")
        for acc, k, zp, y in ((1, 1, 1, 1), (3, 1, 1, 3), (-3, 1, 1, -1), (5, 1, 0, 2), (10, 2, 0, 2), (-10, 2, 0, -2))),
)
