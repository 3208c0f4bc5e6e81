"""NVDLA: sums of 48 bits, rounded and saturated to 32, then times a 16-bit integer and shifted; half away both times.

The first rounding is the accumulator's own truncation (clip_truncate), 0 here: it saturates only. Converters take an offset off
first, multiply by a signed 16-bit scale and shift by 0 to 63. Which scale a compiler takes is not told with the hardware: here
the 15 bits of mantissa that fit. Sums of two tensors, softmax and normalization are borrowed.
"""
from refq.dialects import ivit, onnx, tosa
from refq.dialects.base import Check, Dialect, Role, exact, tied
from refq.ints.width import I48, I64
from refq.ops import rescale_preshift, table

SOURCE = "nvdla/hw cmod/hls/include/nvdla_common.h, nvdla_int.h, cmod/cacc, cmod/hls/sdp, commit 8e06b1b"

rescaled = Role("rescale_preshift", rescale_preshift.Row(form="sdp", first="half_away", product=I64, ties="half_away"))
wide = Role("rescale_preshift", rescale_preshift.Row(form="sdp", first="half_away", product=I64, ties="half_away", acc=I48))
dialect = Dialect(
    name="nvdla",
    title="NVDLA: 48-bit sums, 16-bit scale, half away from zero",
    source=SOURCE,
    date="2018-06",
    roles=exact | {"rescale": rescaled, "rescale_wide": wide, "table": Role("table", table.Row(ties="half_away")),
                   "gelu": Role("table", table.Row(ties="half_away"))}
    | tosa.dialect.borrow("add", "add_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8, 16),
    asymmetric=(),
    encode="half_away",
    accumulators={8: I48, 16: I48},
    checks=(*tied(rescaled, "half_away", SOURCE),
            *(Check("rescale_preshift", wide.row, {"acc": [[acc], [-acc]], "zin": 0, "pre": [pre], "mult": [1], "post": [post],
                                                   "zp": 0}, [[y], [-y]], f"{SOURCE}: {what}")
              for acc, pre, post, y, what in ((1 << 40, 0, 25, 64, "sums of 48 bits saturate at 32"),
                                              (24, 4, 0, 2, "clip_truncate rounds half away")))),
)
