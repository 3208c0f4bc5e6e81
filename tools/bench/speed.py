"""How long an image takes: refq's kernel engine against onnxruntime's int8 of the same network, in one process, in turn.

    python -m tools.bench.speed                       DeiT-tiny with drawn weights
    python -m tools.bench.speed --model NET.onnx      any network of one image input, on drawn images
    python -m tools.bench.speed --engine spec         the readable engine instead

Medians of runs that take turns, so that a machine whose speed drifts slows both. onnxruntime quantizes with
quantize_static: QDQ, per-channel int8 weights, int8 activations, the products only (MatMul, Gemm, Conv), which is its
fastest choice. Sessions and programs are bound to as many threads as the row says. Then, by operation, where refq's
time goes on one thread. Needs onnxruntime, and torch where no model is given.
"""
import argparse
import tempfile
from collections import defaultdict
from os import cpu_count
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import refq
from refq.ints.sites import unwatched
from tools.bench import deit


def peer(path, images, threads, folder):
    """A function of images that runs onnxruntime's int8 of the network, one by one where the file fixes a batch of 1."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static, shape_inference

    class Reader(CalibrationDataReader):
        def __init__(self, name):
            self.left = iter([{name: image[None]} for image in images])

        def get_next(self):
            return next(self.left, None)

    onnxruntime.set_default_logger_severity(3)
    made = Path(folder) / "int8.onnx"
    if not made.exists():
        ready = Path(folder) / "ready.onnx"
        shape_inference.quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        name = onnxruntime.InferenceSession(str(ready), providers=["CPUExecutionProvider"]).get_inputs()[0].name
        quantize_static(str(ready), str(made), Reader(name), quant_format=QuantFormat.QDQ, per_channel=True,
                        weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
                        op_types_to_quantize=["MatMul", "Gemm", "Conv"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(made), options, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    together = not isinstance(wanted.shape[0], int)

    def run(images):
        if together:
            return session.run(None, {wanted.name: images})[0]
        return np.concatenate([session.run(None, {wanted.name: image[None]})[0] for image in images])
    return run


def in_turn(functions, rounds):
    """The median seconds of each function, called in turn, after one call that does not count."""
    taken = [[] for _ in functions]
    for lap in range(rounds + 1):
        for times, function in zip(taken, functions):
            started = perf_counter()
            function()
            if lap:
                times.append(perf_counter() - started)
    return [median(times) for times in taken]


def by_operation(program, codes, engine, rounds):
    """(operation, calls, median seconds of all its calls), the slowest first, and those of every step."""
    seconds = defaultdict(list)
    for lap in range(rounds + 1):
        live = {program.inputs[0]: codes}
        for call in program.plan(engine):
            started = perf_counter()
            call(live, len(codes), unwatched)
            if lap:
                seconds[call.step.name].append(perf_counter() - started)
            for name in call.dead:
                del live[name]
    steps = [(s, median(seconds[s.name])) for s in program.steps]
    sums = defaultdict(lambda: [0, 0.0])
    for step, taken in steps:
        sums[step.op][0] += 1
        sums[step.op][1] += taken
    return sorted(((op, *both) for op, both in sums.items()), key=lambda row: -row[2]), steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="an .onnx file; default: DeiT-tiny with drawn weights")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--dialect", default="tflite")
    parser.add_argument("--engine", default="kernel", choices=["kernel", "spec"])
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=0, help="also list so many of the slowest steps")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = a.model or deit.export(Path(folder) / "deit_tiny.onnx")
        network = refq.load(path)
        shape = next(iter(network.inputs.values()))[1:]
        drawn = np.random.default_rng(1).standard_normal((max(*a.images, 4), *shape), np.float32)
        program = refq.quantize(network, drawn[:4], a.recipe, a.dialect)
        codes = program.encode(drawn)
        print(f"{Path(path).name}, {a.recipe}, {a.dialect}, {a.engine} engine; medians of {a.rounds} runs in turn, milliseconds")
        print(f"{'images':>6} {'threads':>7} {'refq':>9} {'onnxruntime':>11} {'ratio':>6}")
        for threads in sorted({1, cpu_count()}):
            theirs = peer(path, drawn[:4], threads, folder)
            for count in a.images:
                mine, other = in_turn([lambda c=count, t=threads: program.run(codes[:c], a.engine, threads=t),
                                       lambda c=count, run=theirs: run(drawn[:c])], a.rounds)
                print(f"{count:6d} {threads:7d} {mine * 1e3:9.2f} {other * 1e3:11.2f} {mine / other:6.2f}", flush=True)
    for count in a.images:
        rows, steps = by_operation(program, codes[:count], a.engine, a.rounds)
        whole = sum(row[2] for row in rows)
        print(f"\nrefq, {count} images, one thread: {whole * 1e3:.2f} ms in {len(steps)} steps")
        print(f"{'operation':>16} {'calls':>5} {'ms':>8} {'share':>6}")
        for op, calls, taken in rows:
            print(f"{op:>16} {calls:5d} {taken * 1e3:8.2f} {taken / whole:6.1%}")
        for step, taken in sorted(steps, key=lambda pair: -pair[1])[:a.steps]:
            print(f"    {taken * 1e3:8.3f} ms  {step.op:14s} {step.name}")


if __name__ == "__main__":
    main()
