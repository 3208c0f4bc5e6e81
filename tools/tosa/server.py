"""refq's side of sut.py: a line of JSON asks for a test, a line answers; ends when its input does.

    status   valid     the results are written
             refused   TOSA forbids the graph: `rule` is the word of it (checks.py), `message` the sentence
             absent    refq does not compute this
             crash     something else went wrong: `message` holds the traceback
"""
import json
import sys
import traceback

import numpy as np

from refq.errors import IllFormed, Unsupported
from tools.tosa import machine
from tools.tosa.checks import Refused, admit
from tools.tosa.lowered import lower
from tools.tosa.operators import Operator, Tensor, decoded, loaded


def interpret(graph, inputs):
    """The tensors of `graph` (flat.py) by name, all computed; `inputs`: name to a file of codes."""
    tensors = {name: Tensor(t["type"], t["shape"]) for name, t in graph["tensors"].items()}
    for name, path in inputs.items():
        tensors[name].codes = loaded(path, tensors[name].type)
    constants = ("CONST", "CONST_SHAPE")
    for part in graph["operators"]:
        if part["op"] in constants:
            name = part["outputs"][0]
            tensors[name].codes = decoded(tensors[name].type, tensors[name].shape, graph["tensors"][name]["data"] or "")
    for part in graph["operators"]:
        if part["op"] not in constants:
            # a name that no tensor has stands for one that is missing: the list is wrong, and its length says so
            operator = Operator(part["op"], part["attributes"], [tensors.get(n) for n in part["inputs"]],
                                [tensors.get(n) for n in part["outputs"]])
            admit(operator)
            operator.outputs[0].codes = lower(operator)
    return tensors


def answer(asked):
    before = dict(machine.count)
    try:
        tensors = interpret(asked["graph"], asked["inputs"])
        for name, path in asked["outputs"].items():
            save(path, tensors[name])
        status, rule, message = "valid", "", ""
    except Refused as e:
        status, rule, message = "refused", e.rule, str(e)
    except (IllFormed, Unsupported) as e:
        status, rule, message = "absent", "", str(e)
    except Exception:
        status, rule, message = "crash", "", traceback.format_exc()
    return {"status": status, "rule": rule, "message": message, **{k: machine.count[k] - before[k] for k in before}}


def save(path, tensor):
    """As Arm's checker reads it: BOOL as bool, INT4 as one byte a code."""
    codes = tensor.codes.astype(bool) if tensor.type == "BOOL" else tensor.codes
    if list(codes.shape) != list(tensor.shape):
        raise ValueError(f"a result of shape {codes.shape} where {tensor.shape} was declared")
    np.save(path, codes)


def main():
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
