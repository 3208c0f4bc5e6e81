"""Functions that tests give to `refq verify --python`: right ones, and ones that go wrong each in its own way."""
import os
import sys
import time

import numpy as np
import small

from refq import ops

CALLS = []


def layer(x, w, bias, zx, zw, zin, mult, shift, zp):
    """The two steps of a layer, by their specs."""
    rows = {step.op: step.row for step in small.program().steps}
    acc = ops.load("matmul").spec(x, w, bias, zx, zw, row=rows["matmul"])
    return ops.load("rescale").spec(acc, zin, mult, shift, zp, row=rows["rescale"])


def with_sums(x, w, bias, zx, zw, zin, mult, shift, zp):
    """The layer as a dict that shows its sums too."""
    rows = {step.op: step.row for step in small.program().steps}
    acc = ops.load("matmul").spec(x, w, bias, zx, zw, row=rows["matmul"])
    return {"acc": acc, "y": ops.load("rescale").spec(acc, zin, mult, shift, zp, row=rows["rescale"]).astype(np.int8)}


def network(x):
    """The whole small program, of one case: its outputs in order."""
    found = small.program().run(x[None])
    return found["logits"][0], found["top"][0]


def everything(image):
    """The same by another parameter's name, as a dict with another tensor, whose first code is wrong."""
    shown, program = {}, small.program()
    found = program.run(image[None], watch=lambda step, name, codes: shown.setdefault(name, codes[0].copy()))
    shown["hidden"][0, 0] ^= 1
    return {"hidden": shown["hidden"], **{name: codes[0] for name, codes in found.items()}}


def late_clamp(acc, zin, mult, shift, zp):
    """A rescale that saturates at 127 what is negative too."""
    row = next(s.row for s in small.program().steps if s.op == "rescale")
    return np.abs(ops.load("rescale").spec(acc, zin, mult, shift, zp, row=row).astype(int))


def stateful(**operands):
    CALLS.append(1)
    return layer(**operands) ^ len(CALLS) % 2


def nan(x, w):
    return np.full((len(x), len(w)), np.nan, np.float32)


def floats(x, w):
    return np.zeros((len(x), len(w)))


def transposed(x, w):
    return np.zeros((len(w), len(x)), np.int8)


def text(x):
    return "garbage"


def raises(x):
    raise ValueError("no\nluck")


def aborts(x):
    os.abort()


def leaves(x):
    sys.exit(3)


def hangs(x):
    while True:
        time.sleep(1)


def misnamed(x):
    return {"z": x}


def takes_more(x, secret):
    return x


def network_of_one(x):
    """The network, which crashes on one case only."""
    if x.flat[0] == int(os.environ["CRASH"]):
        os.abort()
    return network(x)
