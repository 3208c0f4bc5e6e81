"""How fast numbers become codes and codes numbers: kernels of quantize and dequantize, beside others, on one thread.

    python -m tools.bench.codes              arrays that stay in the second cache, and arrays that no cache holds
    python -m tools.bench.codes --only small

Billions of elements a second: the best of many repeats, since other work on the machine only ever slows one, and the median.
Beside them on the same data: NumPy's float32 steps, ml_dtypes' cast to int4 codes, onnxruntime's QuantizeLinear on one thread;
and what a copy of the float32 numbers reaches: beyond the caches nothing can be much faster, so there is no limit there.
"""
import argparse
from statistics import median
from time import perf_counter

import numpy as np

from refq.ints.width import I4, I8
from refq.machine.nibbles import packing, unpacking
from refq.ops import dequantize, quantize

WANTED = {"int8": 3.0, "int4": 1.5}
COLUMNS = 256


def rate(size, run, seconds=0.4):
    """(best, median) of repeats for so many seconds, in billions of elements a second; the first run is not counted."""
    run()
    times, end = [], perf_counter() + seconds
    while perf_counter() < end or len(times) < 5:
        begun = perf_counter()
        run()
        times.append(perf_counter() - begun)
    return size / min(times) / 1e9, size / median(times) / 1e9


def tried(size):
    """(name, function) of everything for so many numbers."""
    draw = np.random.default_rng(0)
    x = draw.normal(0, 3, (size // COLUMNS, COLUMNS)).astype(np.float32)
    y, back, packed = np.empty(x.shape, np.int8), np.empty(x.shape, np.float32), np.empty(size // 2, np.uint8)
    one, zero = np.full(1, 0.05, np.float32), np.full(1, 3, np.int8)
    scale = draw.uniform(0.04, 0.06, COLUMNS).astype(np.float32)
    zp = draw.integers(-9, 9, COLUMNS).astype(np.int8)
    flat = [a.reshape(-1, 1) for a in (x, y, back)]
    for name, row in (("exact", quantize.Row()), ("ONNX Runtime's", quantize.Row("float32", nan="lowest")),
                      ("TFLite's", quantize.Row("float32", "after", "half_away", "lowest_int32")),
                      ("XNNPACK's", quantize.Row("reciprocal_float32")),
                      ("FBGEMM's", quantize.Row("reciprocal_float32", "fused", nan="highest"))):
        kernel = quantize.kernel(row)
        yield f"int8, {name} row, per tensor", lambda kernel=kernel: kernel(flat[0], one, zero, flat[1])
        yield f"int8, {name} row, per channel", lambda kernel=kernel: kernel(x, scale, zp, y)
    decode = dequantize.kernel(dequantize.Row())
    yield "int8 to float32, per tensor", lambda: decode(flat[1], one, zero, flat[2])
    yield "int8 to float32, per channel", lambda: decode(y, scale, zp, back)
    into, out = packing(quantize.Row("float32", out=I4)), unpacking(dequantize.Row(q=I4))
    four, wide = np.full(1, 1.5, np.float32), scale * np.float32(30)
    few = np.zeros(1, I8.dtype), np.zeros(COLUMNS, I8.dtype)
    yield "int4 packed, per tensor", lambda: into(flat[0], four, few[0], packed)
    yield "int4 packed, per channel", lambda: into(x, wide, few[1], packed)
    yield "int4 packed to float32, per tensor", lambda: out(packed, four, few[0], flat[2])
    yield "int4 packed to float32, per channel", lambda: out(packed, wide, few[1], back)
    yield "others: NumPy, per channel", lambda: np.clip(np.rint(x / scale) + zp, -128, 127).astype(np.int8)
    try:
        import ml_dtypes
        yield "others: ml_dtypes, cast to int4 (no scale, no packing)", lambda: x.astype(ml_dtypes.int4)
    except ImportError:
        pass
    yield from peer(x, scale, zp)
    yield "copy of the float32 numbers", lambda: np.copyto(back, x)


def peer(x, scale, zp):
    try:
        import onnxruntime
        from onnx import TensorProto, helper
    except ImportError:
        return
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    made = helper.make_tensor_value_info("y", TensorProto.INT8, x.shape)
    for said, s, z in (("tensor", scale[:1].reshape(()), zp[:1].reshape(())), ("channel", scale, zp)):
        constants = [helper.make_tensor("s", TensorProto.FLOAT, s.shape, s.ravel()),
                     helper.make_tensor("z", TensorProto.INT8, z.shape, z.ravel().tolist())]
        node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=1)
        graph = helper.make_graph([node], "g", [given], [made], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        bound = session.io_binding()
        bound.bind_cpu_input("x", x)
        bound.bind_output("y")
        name = f"others: onnxruntime {onnxruntime.__version__} QuantizeLinear, per {said}"
        yield name, lambda session=session, bound=bound: session.run_with_iobinding(bound)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("small", "large"))
    chosen = parser.parse_args(arguments)
    for label, size in (("small", 1 << 16), ("large", 1 << 25)):
        if chosen.only not in (None, label):
            continue
        print(f"{size:,} numbers ({size * 4 / 2 ** 20:.2f} MiB of float32)         best  median   billions a second")
        for name, run in tried(size):
            best, usual = rate(size, run)
            wanted = WANTED.get(name[:4], 0) if label == "small" else 0
            said = "" if not wanted else "met" if best >= wanted else f"MISSED: {wanted} is wanted"
            print(f"  {name:58s} {best:6.2f}  {usual:6.2f}   {said}", flush=True)


if __name__ == "__main__":
    main()
