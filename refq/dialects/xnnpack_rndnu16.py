"""XNNPACK's rndnu16 requantization (unsigned codes, SSSE3 and scalar): 16-bit registers, two roundings, half up both times.

The sum is shifted first, rounded and saturated to 16 bits, then multiplied by a 15-bit mantissa. So results can differ from
rndnu's by more than a tie. Codes are refq's signed ones: the zero point joins last, and takes up the difference. XNNPACK gives
8-bit codes so; the register does not reach the ends of 16-bit ones, which rndnu's rescale makes here.
"""
from dataclasses import replace

from refq.dialects import xnnpack_rndnu
from refq.dialects.base import Role, tied
from refq.ints.width import I16, I64
from refq.ops import rescale_preshift

SOURCE = "google/XNNPACK src/xnnpack/requantization.h, xnn_qu8_requantize_rndnu16, commit 75db3c09"

rescaled = Role("rescale_preshift", rescale_preshift.Row(form="rndnu16", ratio="float32", first="half_up", middle=I16,
                                                         product=I64))
dialect = replace(
    xnnpack_rndnu.dialect,
    name="xnnpack_rndnu16",
    title="XNNPACK, rndnu16: 16-bit registers, rounded half up twice",
    source=SOURCE,
    roles=xnnpack_rndnu.dialect.roles | {"rescale": rescaled, "rescale_any": xnnpack_rndnu.dialect.roles["rescale"]},
    checks=tied(rescaled, "half_up", SOURCE),
)
