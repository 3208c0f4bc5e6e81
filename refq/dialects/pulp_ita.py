"""PULP with ITA, its accelerator for attention: as pulp, but for softmax, which is summed in a stream.

Softmax reads codes of log(2) / 32, as the accelerator does, or of any log(2) / 2**k; the largest share is 127 of 256 codes, as
the C code that stands for it has it (the accelerator itself gives 255).
"""
from dataclasses import replace

from refq.dialects import pulp
from refq.dialects.base import Check, Role
from refq.ints.width import I8, U32
from refq.ops import softmax_streaming

SOURCE = "pulp-platform/Deeploy TargetLibraries/Generic/src/Softmax_s8.c, ITAPartialMax_s8; pulp-platform/ITA PyITA/softmax.py"
ROW = softmax_streaming.Row(peak=127, acc=U32, out=I8)
HALVINGS = {"mult": 1 << 14, "shift": 19}

dialect = replace(
    pulp.dialect,
    name="pulp_ita",
    title="PULP with ITA: softmax in a stream, by shifts",
    source=f"{SOURCE}; else {pulp.SOURCE}",
    date="2025-06",
    roles=pulp.dialect.roles | {"softmax": Role("softmax_streaming", ROW)},
    checks=(*pulp.dialect.checks,
            *(Check("softmax_streaming", row, {"q": [q], **HALVINGS}, [y], SOURCE) for row, q, y in (
                (ROW, [0] * 16, [-121] * 16), (ROW, [0] * 16 + [32] + [0] * 15, [-125] * 16 + [-121] + [-125] * 15)))),
)
