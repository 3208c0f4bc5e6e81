"""Campaigns of products and convolutions between DequantizeLinear and QuantizeLinear, where ONNX Runtime computes on integers.

Of int8 activations it does so on Arm, and on x86 where `session.qdqisint8allowed` is 1; else they stay nodes of float32.
"""
from functools import partial

import numpy as np

from refq.ints.width import I8, U8
from tools.engines.campaign import play
from tools.engines.qlinear_models import alike, convolved, drawn, finished, fitting, named, scale, sizes, zeros

HELD = "sx zx w sw zw sy zy".split()
FLOATS = {
    "explained": "int8 activations on x86, unless session.qdqisint8allowed is 1: ONNX Runtime leaves DequantizeLinear and "
                 "QuantizeLinear as they are and sums float32 values between them, in an order of its own; codes 10 and 10 at "
                 "scales 0.02 and 0.75 make 1.5 of the unit 1, which is a step less in float32: 1, and 2 by the integers",
    "apart": 1, "share": 1e-4}


def around(middle, wide, biased, attributes):
    """The nodes; `wide`: the attributes of DequantizeLinear of weights."""
    nodes = [("DequantizeLinear", "x sx zx", "rx", {}), ("DequantizeLinear", "w sw zw", "rw", wide)]
    if biased:
        nodes.append(("DequantizeLinear", "b sb", "rb", {"axis": 0}))
    return (*nodes, (middle, "rx rw" + " rb" * biased, "r", attributes), ("QuantizeLinear", "r sy zy", "y", {}))


def product(dialect, run, x, w, columns, rng):
    """MatMul."""
    (n, k, m), even = sizes(rng), rng.integers(0, 2)
    channels = (m,) if columns else ()
    feeds = {"x": drawn(rng, x, (n, k)), "sx": scale(rng, even), "zx": zeros(rng, x), "w": drawn(rng, w, (k, m)),
             "sw": alike(rng, even, channels), "zw": np.zeros(channels, w.dtype), "zy": zeros(rng, x)}
    acc = play(dialect, "matmul", {"x": x, "w": w}, {"x": feeds["x"]}, w=feeds["w"].T, bias=None, zx=feeds["zx"], zw=feeds["zw"])
    feeds["sy"] = fitting(rng, acc, feeds["sx"].astype(float) * feeds["sw"], even)
    theirs = run(feeds, *around("MatMul", {"axis": 1} if columns else {}, False, {}), frozen=HELD)[0]
    return finished(dialect, x, acc, (feeds["sx"], feeds["sw"]), feeds["sy"], feeds["zy"], theirs, f"{n} x {k} x {m}")


def convolution(dialect, run, x, w, channels, deep, rng):
    """Conv, its bias in units of sx * sw."""
    even, biased = rng.integers(0, 2), rng.integers(0, 2)
    feeds, attributes, acc, said = convolved(dialect, rng, x, w, channels, deep, biased, symmetric=True)
    feeds |= {"sx": scale(rng, even), "sw": alike(rng, even, feeds["zw"].shape), "zy": zeros(rng, x)}
    feeds["sy"] = fitting(rng, acc, feeds["sx"].astype(float) * feeds["sw"], even)
    if biased:
        feeds["sb"] = feeds["sx"] * feeds["sw"]
    nodes = around("Conv", {"axis": 0} if channels else {}, biased, attributes)
    theirs = run(feeds, *nodes, frozen=(*HELD, *["b", "sb"] * biased))[0]
    return finished(dialect, x, acc, (feeds["sx"], feeds["sw"]), feeds["sy"], feeds["zy"],
                    np.ascontiguousarray(theirs.transpose(0, 2, 3, 1)), said)


def surrounded_sums(dialect, run, pairs=((U8, I8), (U8, U8), (I8, I8))):
    """Weights are symmetric, as tools make them; per tensor and per channel. int8 activations as a session takes them, and
    allowed."""
    return [c for x, w in pairs for kind, how, excused in taken(x, run) for c in variants(dialect, how, x, w, kind, excused)]


def taken(x, run):
    """(words, run, what is excused) of each way that a session takes activations of the width `x`."""
    if x == I8:
        return ("", run, FLOATS), (", allowed", partial(run, session__qdqisint8allowed="1"), {})
    return ("", run, {}),


def variants(dialect, run, x, w, kind, excused):
    found = []
    for each in (False, True):
        how = " per channel" if each else ""
        found += [named(f"QDQ-MatMul {x} {w}{how}{kind}", dialect, product, dialect, run, x, w, each, **excused),
                  named(f"QDQ-Conv {x} {w}{how}{kind}", dialect, convolution, dialect, run, x, w, each, False, **excused)]
    return [*found, named(f"QDQ-Conv depthwise {x} {w}{kind}", dialect, convolution, dialect, run, x, w, True, True, **excused)]
