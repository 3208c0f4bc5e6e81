"""Programs of one step, for formats that care what a step is."""
import numpy as np

from refq import ops
from refq.graph.program import Program, Step, Tensor
from refq.ints.width import I8


def clip(count=3, lo=-100, hi=90):
    """x (count) -> cut -> y, codes of i8."""
    tensors = {name: Tensor(name, (count,), I8, None, role) for name, role in (("x", "input"), ("y", "output"))}
    tensors |= {name: Tensor(name, (), I8, None, "parameter") for name in ("lo", "hi")}
    step = Step("cut", "clip", ops.load("clip").Row(), {"q": "x", "lo": "lo", "hi": "hi"}, {"y": "y"})
    return Program((step,), tensors, {"lo": np.array(lo, np.int8), "hi": np.array(hi, np.int8)}, ("x",), ("y",), "tosa", "int8")
