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
from tools.engines import torch_models, torch_nonlinear

pytest.importorskip("torch")


@pytest.mark.parametrize("width", [U8, I8], ids=str)
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "hard_swish"])
def test_codes_that_lie_apart_are_rounded_with_their_zero_point(name, width, tally):
    """They are those of the dialect's row with its zero point inside; with the row itself some differ where ties are."""
    part, rng, turned = dialects.load("fbgemm").role(name), np.random.default_rng(6), 0
    inside = Role(part.op, replace(part.row, zero_point="inside"))
    for _ in range(30):
        q, theirs, said, _, build = torch_nonlinear.drawn("fbgemm", name, width, rng, apart=2)
        widths = {"q": width, "out": width}
        assert np.array_equal(play(inside, widths, {"q": q}, **build), theirs), said
        turned += int((play(part, widths, {"q": q}, **build) != theirs).sum())
        tally(f"PyTorch {name} {width}, strided", q.size, 0)
    assert bool(turned) == (name == "hard_swish")


@pytest.mark.parametrize("engine", ["fbgemm", "x86"])
@pytest.mark.parametrize("width", [U8, I8], ids=str)
def test_the_end_of_a_tensor_is_rounded_so_too(width, engine, tally):
    """Fifteen codes fill no vector; halved, every other one is a tie. Witness: leaky_relu of 1, halved and with a zero point of
    3 from the lowest code, is 4 from it; in a vector it is 3."""
    torch = torch_models.torch(engine)
    part = dialects.load("fbgemm").role("leaky_relu")
    grids = {"s_in": 1.0, "z_in": width.lo + 20, "s_out": 2.0, "z_out": width.lo + 3}
    for first in range(240):
        q = np.arange(first, first + 15).astype(width.dtype) + width.dtype.type(width.lo)
        made = torch.ops.quantized.leaky_relu(torch_models.tensor(torch, q, 1.0, grids["z_in"]), 0.5, False, 2.0, grids["z_out"])
        inside = Role(part.op, replace(part.row, zero_point="inside"))
        ours = play(inside, {"q": width, "out": width}, {"q": q}, function=lambda x: x if x > 0 else x / 2, **grids)
        assert np.array_equal(ours, torch_models.codes_of(made))
        tally(f"PyTorch leaky_relu {width}, end", q.size, 0)
    one, many = (np.full(n, width.lo + 21, width.dtype) for n in (1, 64))
    ends = [torch_models.codes_of(torch.ops.quantized.leaky_relu(torch_models.tensor(torch, q, 1.0, grids["z_in"]), 0.5, False,
                                                                 2.0, grids["z_out"]))[0] - width.lo for q in (one, many)]
    assert ends == [4, 3]
