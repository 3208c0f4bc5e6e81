"""How much memory running a program takes: the peak above the process as it stands after imports and compilation.

    python -m tools.bench.memory                  DeiT-tiny with drawn weights, int8, tflite; needs torch
    python -m tools.bench.memory --model NET.onnx

Each row is a process of its own that loads the saved program, runs one image so that every kernel is there, gives free
memory back, and then measures one `program.run`: the growth of resident memory (Linux: VmHWM after a reset) and what
NumPy allocated at once (tracemalloc, in a run of its own). Beside it twice the constants and the two largest activations,
of one image and of all.
"""
import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np


def resident(word):
    """A line of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(word)) << 10


def measure(folder, images, threads):
    """The child: bytes of growth of resident memory, and of NumPy's."""
    from refq.graph import store

    program = store.load(Path(folder))
    shape = program.tensors[program.inputs[0]].shape
    codes = program.encode(np.random.default_rng(0).standard_normal((images, *shape), np.float32))
    program.run(codes[:1], threads=1)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    program.run(codes, threads=threads)
    grown = resident("VmHWM") - before
    tracemalloc.start()
    program.run(codes, threads=threads)
    _, arrays = tracemalloc.get_traced_memory()
    print(json.dumps({"resident": grown, "arrays": arrays}))


def allowance(program):
    """(bytes of the constants, bytes of the two largest activations of one image together)."""
    constants = sum(c.nbytes for c in program.constants.values())
    activations = sorted(t.bytes for t in program.tensors.values() if t.name not in program.constants)
    return constants, sum(activations[-2:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="an .onnx file; default: DeiT-tiny with drawn weights")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--dialect", default="tflite")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", nargs=3, metavar=("FOLDER", "IMAGES", "THREADS"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.child:
        return measure(a.child[0], int(a.child[1]), int(a.child[2]))

    import refq
    from tools.bench import deit

    with tempfile.TemporaryDirectory() as folder:
        network = refq.load(a.model or deit.export(Path(folder) / "deit_tiny.onnx"))
        shape = next(iter(network.inputs.values()))[1:]
        program = refq.quantize(network, np.random.default_rng(1).standard_normal((2, *shape)), a.recipe, a.dialect)
        (Path(folder) / "program").mkdir()
        refq.save(program, Path(folder) / "program")
        constants, two = allowance(program)
        mib = 1 << 20
        print(f"{network.name}, {a.recipe}, {a.dialect}: constants {constants / mib:.2f} MiB, two largest activations "
              f"{two / mib:.2f} MiB an image")
        print(f"{'images':>6} {'threads':>7} {'resident MiB':>12} {'arrays MiB':>10} {'twice, one image':>16} {'twice, all':>10}")
        for images in a.images:
            for threads in a.threads:
                command = [sys.executable, "-m", "tools.bench.memory", "--child", f"{folder}/program", str(images), str(threads)]
                seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                print(f"{images:6d} {threads:7d} {seen['resident'] / mib:12.2f} {seen['arrays'] / mib:10.2f} "
                      f"{2 * (constants + two) / mib:16.2f} {2 * (constants + images * two) / mib:10.2f}", flush=True)


if __name__ == "__main__":
    main()
