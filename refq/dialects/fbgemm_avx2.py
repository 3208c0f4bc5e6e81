"""FBGEMM on x86 with AVX2 and without VNNI: pairs of products saturate at 16 bits, though sums have 32; all else as in fbgemm.

The instruction is VPMADDUBSW, on the codes as they are: activations are unsigned bytes, zero points and bias join afterwards.
Linear, every convolution and depthwise ones do so; pairs are neighbours of k, and of a window in the order rows, columns,
channels. That is what reduce_range is for: with activations of 7 bits no pair saturates. oneDNN's linear and conv saturate there
too, not its depthwise conv; QNNPACK's sums stay exact.
"""
from dataclasses import replace

from refq.dialects import fbgemm
from refq.dialects.base import Check, Role
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, U8
from refq.ops import batch_matmul, conv2d, matmul

PAIRS = Accumulate(order="pairs", size=1, overflow="saturate", width=I16, spill=1, products="codes")

dialect = replace(
    fbgemm.dialect,
    name="fbgemm_avx2",
    title="FBGEMM on x86 with AVX2 and without VNNI, as PyTorch's fbgemm engine runs it",
    source="pytorch/FBGEMM src/GenerateKernelU8S8S32ACC32.cc; torch 2.13 under qemu-x86_64 -cpu Haswell",
    roles=fbgemm.dialect.roles | {
        "matmul": Role("matmul", matmul.Row(x=U8, accumulate=PAIRS)),
        "batch_matmul": Role("batch_matmul", batch_matmul.Row(accumulate=PAIRS)),
        "conv2d": Role("conv2d", conv2d.Row(x=U8, accumulate=PAIRS)),
    },
    checks=tuple(
        Check("matmul", matmul.Row(x=U8, accumulate=PAIRS), {"x": [x], "w": [w], "bias": [0], "zx": 0, "zw": [0]}, [[acc]],
              "torch 2.13 under qemu-x86_64 -cpu Haswell, engine fbgemm")
        for x, w, acc in (([255, 255], [127, 127], 32767),
                          ([255, 255], [127, 100], 32767), ([255] * 3, [127] * 3, 32767 + 32385))),
)
