"""awq: qweight and qzeros of AWQ checkpoints: int32 words (k, m / 8) of eight output channels, in the order 0 2 4 6 1 3 5 7.

Nibble i of a word, low first, holds channel 8c + (0, 2, 4, 6, 1, 3, 5, 7)[i]. Zero points (groups, m / 8) are packed alike,
and are stored as they are. Codes are unsigned, of 4 bits.
Source: AutoAWQ awq/modules/linear/gemm.py, from_linear, and awq/utils/packing_utils.py. What version 0.2.9 writes is
recorded in tests/layouts.
"""
from dataclasses import dataclass

import numpy as np

from refq.ints.width import U4
from refq.layouts.dense import Across
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Across):
    """No parameters."""

    PARTS = ("qweight",)
    line = Line(U4, "interleaved", "code", 8, 4)


EVERY = (Layout(),)
CHECK = ((Layout(), [[channel, 15 - channel] for channel in range(8)],
          {"qweight": np.array([[0x75316420], [0x8ACE9BDF]], np.uint32).view("<i4")}),)
