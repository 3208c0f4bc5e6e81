"""FBGEMM with 16-bit accumulation: pairs of products saturate at 16 bits, and so does their running sum.

It is emptied into 32 bits after every 128 pairs (256 products). Activations are unsigned bytes and weights signed ones,
multiplied as they are stored; zero points are taken off afterwards, in 32 bits. PyTorch's operators do not reach it (they
accumulate in 32 bits): the row follows FBGEMM's reference. With activations of 7 bits
(reduce_range), or weights within -64..63, no pair saturates.
"""
from dataclasses import replace

from refq.dialects import fbgemm
from refq.dialects.base import Check, Role
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, I32, U8
from refq.ops import batch_matmul, conv2d, matmul

PAIRS = Accumulate(order="pairs", size=1, overflow="saturate", width=I16, spill=128, into=I32, products="codes")
SOURCE = "pytorch/FBGEMM src/RefImplementations.cc, matmul_u8i8acc16_ref, and include/fbgemm/PackingTraits-inl.h, commit 71d6f8b2"



def summed(x, w, result):
    return Check("matmul", matmul.Row(x=U8, accumulate=PAIRS), {"x": [x], "w": [w], "bias": [0], "zx": 0, "zw": [0]}, [[result]],
                 SOURCE)


dialect = replace(
    fbgemm.dialect,
    name="fbgemm_acc16",
    title="FBGEMM with 16-bit accumulation (its reference's arithmetic)",
    source=SOURCE,
    roles=fbgemm.dialect.roles | {
        "matmul": Role("matmul", matmul.Row(x=U8, accumulate=PAIRS)),
        "batch_matmul": Role("batch_matmul", batch_matmul.Row(accumulate=PAIRS)),
        "conv2d": Role("conv2d", conv2d.Row(accumulate=PAIRS)),
    },
    checks=(summed([255, 255], [127, 127], 32767), summed([127, 127], [-128, -128], -32512), summed([255, 255], [64, 64], 32640),
            summed([255] * 4, [127] * 4, 32767), summed([255] * 258, [127] * 258, 65534)),
)
