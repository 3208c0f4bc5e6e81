"""ONNX Runtime on x86 without VNNI (AVX2): pairs of unsigned by signed products saturate at 16 bits; all else as on `ort_x86`.

The instruction is VPMADDUBSW, on the codes as they are: zero points and bias join the sum afterwards. It serves uint8 activations
and int8 weights in MatMulInteger, QLinearMatMul, QGemm and QLinearConv. Exact are uint8 by uint8 and int8 by int8; a QLinearConv
with one filter for each channel and one zero point for all of them (role `depthwise_conv2d`); ConvInteger, whose weights are the
left factor; and, in a session whose `session.x64quantprecision` is "1", constant weights that reach beyond -64..63: they become
uint8 ones, but not those of QLinearMatMul, which saturates all the same.
"""
from dataclasses import replace

from refq.dialects import ort_x86
from refq.dialects.base import Check, Role
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, U8
from refq.ops import batch_matmul, conv2d, matmul

PAIRS = Accumulate(order="pairs", size=1, overflow="saturate", width=I16, spill=1, products="codes")

dialect = replace(
    ort_x86.dialect,
    name="ort_avx2",
    title="ONNX Runtime's CPU provider on x86 with AVX2 and without VNNI",
    source="microsoft/onnxruntime onnxruntime/core/mlas/lib/x86_64/QgemmU8X8KernelAvx2.S; 1.31.1 under qemu-x86_64 -cpu Haswell",
    roles=ort_x86.dialect.roles | {
        "matmul": Role("matmul", matmul.Row(x=U8, accumulate=PAIRS)),
        "batch_matmul": Role("batch_matmul", batch_matmul.Row(accumulate=PAIRS)),
        "conv2d": Role("conv2d", conv2d.Row(accumulate=PAIRS)),
        "depthwise_conv2d": Role("conv2d", conv2d.Row()),
    },
    checks=(*ort_x86.dialect.checks, *(
        Check("matmul", matmul.Row(x=U8, accumulate=PAIRS), {"x": [x], "w": [[127] * len(x)], "bias": [0], "zx": 0, "zw": [0]},
              [[acc]], "Intel's manual, VPMADDUBSW: 255*127 + 255*127 is 32767")
        for x, acc in (([255, 255], 32767), ([255], 32385), ([255, 255, 255], 32767 + 32385)))),
)
