"""How long it takes to name the cause: a matmul of 197x768x768 with its rescale, made wrong in several ways.

    python -m tools.bench.diagnose        prints seconds per mistake, the kernels compiled beforehand
"""
from time import perf_counter

import numpy as np

from refq import ops
from refq.graph.program import Program, Step, Tensor
from refq.ints.width import I8, I32
from refq.vectors.diagnosis.diagnose import diagnose
from refq.vectors.diagnosis.place import Place
from refq.vectors.mutants import of_run

N, K, M, LIMIT = 197, 768, 768, 10.0
MISTAKES = ("high=none", "ties=half_up", "slip bias_dropped", "site partial: saturates at i16", "slip channels_shifted(acc, 1)")


def place():
    """A layer of a vision transformer under TFLite's rows, on uniform codes."""
    draw = np.random.default_rng(0)
    matmul, rescale = ops.load("matmul"), ops.load("rescale")
    rows = matmul.Row(), rescale.Row(high="half_up", ties="half_away")
    built = (matmul.build(rows[0], draw.integers(-127, 127, (M, K), endpoint=True), draw.integers(-5000, 5000, M), -3, 0),
             rescale.build(rows[1], draw.uniform(0.5, 1, M) * 1e-4, 0, 5))
    tensors = {"x": Tensor("x", (N, K), I8, None, "input"), "acc": Tensor("acc", (N, M), I32, None, "accumulator"),
               "y": Tensor("y", (N, M), I8, None, "output")}
    constants, steps = {}, []
    for name, op, row, made, main, result in (("fc", "matmul", rows[0], built[0], {"x": "x"}, {"acc": "acc"}),
                                              ("rescale", "rescale", rows[1], built[1], {"acc": "acc"}, {"y": "y"})):
        for operand, codes in made.items():
            width = row.takes[operand].width
            constants[f"{name}.{operand}"] = np.ascontiguousarray(codes, width.dtype).reshape(np.shape(codes))
            tensors[f"{name}.{operand}"] = Tensor(f"{name}.{operand}", np.shape(codes), width, None, "parameter")
        inputs = main | {operand: f"{name}.{operand}" for operand in made}
        steps.append(Step(name, op, row, {k: inputs[k] for k in row.takes}, result))
    program = Program(tuple(steps), tensors, constants, ("x",), ("y",), "tflite", "int8")
    return Place(program, steps, {"x": draw.integers(-128, 127, (1, N, K), np.int8, endpoint=True)})


def main():
    here = place()
    mutants = {m.name: m for m in of_run(here.program, here.steps)}
    noise = {"y": here.truth["y"].copy()}
    noise["y"][0, 5:60, 7:90] ^= np.random.default_rng(1).integers(0, 2, (55, 83)).astype(np.int8)
    devices = {name: here.run(mutants[name]) for name in MISTAKES} | {"noise (no cause)": noise}
    slowest = 0.0
    for name, device in devices.items():
        begun = perf_counter()
        found = diagnose(here, device)
        slowest = max(slowest, seconds := perf_counter() - begun)
        named = found.causes[0].name if found.causes else "unknown"
        print(f"{seconds:6.2f} s  {name:34s} {found.wrong:7,} differences, {found.tried} mutants; named: {named}")
    print(f"slowest {slowest:.2f} s, limit {LIMIT:.0f} s: {'met' if slowest < LIMIT else 'MISSED'}")


if __name__ == "__main__":
    main()
