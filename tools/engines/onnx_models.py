"""Small ONNX models and ONNX Runtime to run them: in this process, or in one of an emulated processor.

    run(feeds, *nodes, frozen=(), optimized=True, **entries) -> the outputs, a list of arrays

`feeds`: name to array, of which those named in `frozen` become initializers, as weights are in real models; `nodes`: each
(operation, "names of inputs", "names of outputs", attributes); the outputs of the last one are the model's. An empty input
is written `-`. An attribute `domain` is that of the operation. `entries`: of the session's configuration, dots as double
underscores. Types are those of the arrays, with ml_dtypes for codes below 8 bits.
`emulated(processor)` gives a `run` by the same Python under `qemu-x86_64 -cpu PROCESSOR`, where ONNX Runtime finds another
processor and takes other kernels. Run as a program, this file is that process.
"""
import os
import pickle
import shutil
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np

MICROSOFT = {"domain": "com.microsoft"}
OPSET = 21


def model(feeds, nodes, frozen=()):
    """The bytes of a model of `nodes`."""
    from onnx import helper, numpy_helper
    made = [helper.make_node(op, ["" if i == "-" else i for i in inputs.split()], outputs.split(), **attributes)
            for op, inputs, outputs, attributes in nodes]
    values = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
              for k, v in feeds.items() if k not in frozen]
    graph = helper.make_graph(made, "small", values, [helper.make_empty_tensor_value_info(o) for o in nodes[-1][2].split()],
                              [numpy_helper.from_array(feeds[k], k) for k in frozen])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets).SerializeToString()


def session(model, optimized, entries):
    """One that runs on one core, and is silent about what it refuses."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def here(model, feeds, optimized, entries):
    return session(model, optimized, entries).run(None, feeds)


def run(feeds, *nodes, frozen=(), optimized=True, by=here, **entries):
    feeds = {k: np.ascontiguousarray(v).reshape(np.shape(v)) for k, v in feeds.items()}
    given = {k: v for k, v in feeds.items() if k not in frozen}
    return by(model(feeds, nodes, frozen), given, optimized, {k.replace("__", "."): v for k, v in entries.items()})


def version():
    """Of ONNX Runtime; raises ImportError where it is not installed."""
    import onnxruntime
    return onnxruntime.__version__


@cache
def emulated(processor, module="tools.engines.onnx_models"):
    """`here` of `module`, by a process under an emulator that runs it; raises ImportError where there is none."""
    if not shutil.which("qemu-x86_64"):
        raise ImportError("qemu-x86_64 is missing; apt-get install qemu-user brings it")
    command = ["qemu-x86_64", "-cpu", processor, os.path.realpath(sys.executable), "-m", module]
    places = [str(Path(__file__).resolve().parent.parent.parent), *(p for p in sys.path if p)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=os.environ | {"PYTHONPATH": os.pathsep.join(places)})

    def there(*question):
        written(process.stdin, question)
        answer = read(process.stdout)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    return there


def written(stream, value):
    text = pickle.dumps(value)
    stream.write(struct.pack("<q", len(text)) + text)
    stream.flush()


def read(stream):
    """What the other end wrote, or None at its end."""
    head = stream.read(8)
    return pickle.loads(stream.read(struct.unpack("<q", head)[0])) if len(head) == 8 else None


def serve(answered):
    """Answer one question after another until the other end is closed."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    while (question := read(sys.stdin.buffer)) is not None:
        try:
            written(answers, answered(*question))
        except Exception as e:          # it goes back as words: the process serves on
            written(answers, f"{type(e).__name__}: {e}")


if __name__ == "__main__":
    serve(here)
