"""oneDNN, as PyTorch calls it through ideep on x86 with VNNI: reals in float32, the zero point inside the rounding.

The accumulator is multiplied by s_x, then by s_w; the float32 bias joins; the sum is multiplied by f32(1 / s_y), the zero point
joins, and then it is rounded half to even. ideep hands over reciprocals, which oneDNN inverts again, so s_x is
f32(1 / f32(1 / s_x)), off by a last bit for some scales; of s_w that is so in linear only, not in conv (role rescale_conv2d).
What leaves the range saturates before it is converted. A dynamic linear gives the real sum itself (role dequantize_bias).
Weights are symmetric; products of 8-bit codes are exact with VNNI. What no row holds: a conv of one input channel a group whose
input has a zero point reads memory that nobody wrote for windows that lie wholly in the padding, and gives anything there (an
image 17 x 19 x 1 with zero point 25 under a kernel 2 x 2 padded by 2 rows); this row gives the bias, as PyTorch defines it.

Elementwise operators are PyTorch's own, as in fbgemm, which also tells how grids are chosen. Without VNNI (AVX2) pairs of
products saturate at 16 bits in linear, and conv halves its weights: no row here.
"""
from refq.dialects import fbgemm
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import dequantize_bias, rescale_float32_bias

LINEAR = {"bias": "reals", "inverted": "both", "zero_point": "inside"}
CONV = LINEAR | {"inverted": "first"}

dialect = Dialect(
    name="onednn",
    title="oneDNN on x86 with VNNI, as PyTorch's onednn engine runs it",
    source="oneapi-src/oneDNN doc/programming_model/attributes_quantization.md, commit 515bfba6; pytorch/pytorch "
           "aten/src/ATen/native/quantized/cpu/qlinear.cpp and qconv.cpp; run in torch 2.13",
    date="2026-11",
    roles=exact | fbgemm.elementwise | fbgemm.borrowed | {
        "rescale": Role("rescale_float32_bias", rescale_float32_bias.Row(**LINEAR)),
        "rescale_wide": Role("rescale_float32_bias", rescale_float32_bias.Row(acc=I48, **LINEAR)),
        "rescale_bias": Role("rescale_float32_bias", rescale_float32_bias.Row(**LINEAR)),
        "rescale_conv2d": Role("rescale_float32_bias", rescale_float32_bias.Row(**CONV)),
        "dequantize_bias": Role("dequantize_bias", dequantize_bias.Row(scales="each", inverted="both")),
    },
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tuple(
        Check("rescale_float32_bias", rescale_float32_bias.Row(**LINEAR),
              {"acc": [[acc]], "zin": 0, "first": 0.5, "second": [2.0 ** (1 - k)], "bias": [0.0], "unit": 1.0, "last": [1.0],
               "zp": zp}, [[y]], "PyTorch 2.13, engine onednn: quantized::linear with scales that are powers of two")
        for acc, k, zp, y in ((1, 1, 1, 2), (3, 1, 1, 2), (-3, 1, 1, 0), (5, 1, 0, 2), (10, 2, 0, 2), (-10, 2, 0, -2))),
)
