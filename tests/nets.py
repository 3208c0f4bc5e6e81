"""Small float networks drawn through ONNX, and how near their integer programs come."""
import numpy as np
from load.drawn import Sketch, written

from refq.graph.evaluate import evaluate
from refq.graph.quantize import quantize
from refq.load.network import load


def network(folder, draw, shape=("n", 3, 8, 8), **options):
    """The canonical graph of what `draw(sketch)` adds between `images` and its result."""
    sketch = Sketch(**options)
    return load(written(sketch.model(draw(sketch), shape), folder))


def images(network, count=8, seed=0):
    shape = next(iter(network.inputs.values()))[1:]
    return np.random.default_rng(seed).standard_normal((count, *shape))


def both(program, codes):
    """Every result by the kernels; raises where a spec's differs in dtype, shape or any element."""
    seen = {"kernel": {}, "spec": {}}
    for engine, results in seen.items():
        def keep(step, name, array, results=results):
            results.setdefault(name, []).append(array.copy())
        program.run(codes, engine, watch=keep)
    assert seen["kernel"].keys() == seen["spec"].keys()
    for name, parts in seen["kernel"].items():
        for one, other in zip(parts, seen["spec"][name], strict=True):
            assert one.dtype == other.dtype and np.array_equal(one, other), name
    return {name: np.concatenate(parts) for name, parts in seen["kernel"].items()}


def near(network, recipe="int8", dialect="tflite", decibels=25, count=8):
    """The program, its kernels equal to its specs, its output so many decibels above the difference from the float network."""
    data = images(network, count)
    program = quantize(network, data, recipe, dialect)
    name = program.outputs[0]
    integer = program.decode(both(program, program.encode(data))[name])
    exact = evaluate(network, data)[network.outputs[0]]
    assert integer.shape == exact.shape
    noise = float(((integer - exact) ** 2).mean())
    assert noise == 0 or 10 * np.log10(float((exact ** 2).mean()) / noise) >= decibels
    return program
