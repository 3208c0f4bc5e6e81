"""PyTorch's functions of quantized tensors that no vector instruction takes: no dialect states them.

Vectors round before the zero point joins, which is the row of the dialects fbgemm, torch_x86 and torch_qnnpack
(tools/engines/torch_nonlinear.py). Codes that lie apart, and what fills no vector at the end of a tensor, are computed one by
one, with the zero point inside the rounding. leaky_relu copies a strided tensor first.
"""
from dataclasses import replace

import numpy as np
import pytest

from refq import dialects
from refq.dialects.base import Role
from refq.graph.play import play
from refq.ints.width import I8, U8

torch_nonlinear = pytest.importorskip("tools.engines.torch_nonlinear")


@pytest.mark.parametrize("width", [U8, I8], ids=str)
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "hard_swish"])
def test_codes_that_lie_apart_are_rounded_with_their_zero_point(name, width, tally):
    """They are those of the dialect's row with its zero point inside; with the row itself some differ where ties are."""
    pytest.importorskip("torch")
    part, rng, turned = dialects.load("fbgemm").role(name), np.random.default_rng(6), 0
    inside = Role(part.op, replace(part.row, zero_point="inside"))
    for _ in range(30):
        q, theirs, said, _, build = torch_nonlinear.drawn("fbgemm", name, width, rng, apart=2)
        widths = {"q": width, "out": width}
        assert np.array_equal(play(inside, widths, {"q": q}, **build), theirs), said
        turned += int((play(part, widths, {"q": q}, **build) != theirs).sum())
        tally(f"PyTorch {name} {width}, strided", q.size, 0)
    assert bool(turned) == (name == "hard_swish")
