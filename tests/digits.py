"""The embedded network, quantized once for each recipe and dialect that a test asks for."""
from functools import cache

from refq import dialects, embedded
from refq.graph.quantize import quantize
from refq.load.network import load

SPINE = ("ivit", "onnx", "tflite", "tosa")
"""The dialects that heavy tests run for; tests/dialects runs every one."""


@cache
def network():
    """The float network."""
    return load(embedded.network())


def calibration(count):
    """The first calibration images, as the network takes them: float64 (n 1 8 8)."""
    return embedded.as_input(embedded.calibration()[:count]).astype("float64")


@cache
def program(recipe, dialect):
    """The program of the committed grids."""
    return from_grids(embedded.grids(recipe, dialects.load(dialect).asymmetric), recipe, dialect)


def from_grids(grids, recipe, dialect):
    """The program of these grids."""
    return quantize(network(), None, recipe, dialect, grids)


def codes(program, count=2):
    """The first test images as codes of the program's input."""
    return program.encode(embedded.as_input(embedded.images()[:count]))


def watched(program, codes, **how):
    """Every result of a run: name to the array of each part of the images, and the outputs."""
    seen = {}
    outputs = program.run(codes, watch=lambda step, name, array: seen.setdefault(name, []).append(array.copy()), **how)
    return seen, outputs
