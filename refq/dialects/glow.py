"""Glow: a multiplier of up to 9 bits between two shifts; the first floors, the second rounds half up; all in 32 bits.

Scales are float32. A product that leaves 32 bits is undefined in C++; compiled, its low bits stay. Quantization adds the offset
before it rounds, half to even, which is the same while the offset is even. Sums go through 32 bits of their own: borrowed.
"""
from refq.dialects import ivit, onnx, tosa
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import rescale_preshift, table

SOURCE = "pytorch/glow include/glow/Quantization/Base/Base.h, lib/Quantization/Base/Base.cpp, commit 05dd99b9"

rescaled = Role("rescale_preshift", rescale_preshift.Row(form="glow", ratio="float32", first="floor", ties="half_up"))
dialect = Dialect(
    name="glow",
    title="Glow: an 8-bit scale between two shifts",
    source=SOURCE,
    date="2022-06",
    roles=exact | {"rescale": rescaled, "table": Role("table", table.Row(ties="half_even")),
                   "gelu": Role("table", table.Row(ties="half_even"))}
    | tosa.dialect.borrow("rescale_wide", "add", "add_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "half_up", SOURCE),
)
