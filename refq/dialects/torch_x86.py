"""PyTorch's x86 engine, its default on x86: FBGEMM's linear, and for conv FBGEMM or oneDNN, as the processor has it.

A convolution goes to oneDNN on Linux where the processor has AVX512-VNNI, there are at most 100 groups, the weights are symmetric
and no output padding is asked for; everywhere else it goes to FBGEMM. This row is such a processor (role rescale_conv2d is
oneDNN's); on another one, and for other convolutions, the dialect fbgemm is what the engine computes. The two differ where
a zero point joins a tie, and by a last bit.
"""
from dataclasses import replace

from refq.dialects import fbgemm, onednn

dialect = replace(
    fbgemm.dialect,
    name="torch_x86",
    title="PyTorch's x86 engine on a processor with AVX512-VNNI",
    source="pytorch/pytorch aten/src/ATen/native/quantized/cpu/OnednnUtils.h, qconv_prepack.cpp and qlinear_prepack.cpp; run in "
           "torch 2.13",
    roles=fbgemm.dialect.roles | {"rescale_conv2d": onednn.dialect.roles["rescale_conv2d"]},
)
