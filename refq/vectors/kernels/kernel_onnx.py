"""An ONNX model, run by onnxruntime and judged by a golden pack as a kernel is: in a process of its own, twice, in two
orders.

Its inputs and outputs carry the names of the program's (or of a unit's operands and results), or are as many, and then go
by order, which the report notes. An input that is float takes what the codes stand for; a float output must be a value
of its tensor's grid to the last bit. Outputs named after other tensors of the pack are compared too.
"""
from pathlib import Path

from refq.errors import IllFormed
from refq.vectors.kernels.kernel_python import TIME_LIMIT, verify_arrays


def verify_onnxruntime(pack, model, unit=None, tolerance=0, time_limit=TIME_LIMIT):
    """The Report of a model against a pack; `unit`, `tolerance`, `time_limit` as in verify_python.

    Raises IllFormed and RefqError (one sentence) where the model does not fit the pack, or onnxruntime is not installed.
    """
    path = Path(model)
    if not path.is_file():
        raise IllFormed(f"{path}: no such file; it is the ONNX model that onnxruntime runs")
    job = {"device": "refq.vectors.kernels.worker_onnx", "model": str(path.absolute())}
    return verify_arrays(pack, job, f"onnxruntime on {path}", unit, tolerance, time_limit)
