"""Quantized networks under ONNX Runtime, every code of every tensor, beside what refq's program gives: at once, and step by step
where each step is fed with the runtime's own codes."""
import numpy as np
import onnx
from onnx import helper

from refq.ints.sites import unwatched

MOVES = {"MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather"}


def codes_of(ort, path, images, optimized=True):
    """Name of a tensor, as refq calls it, to the codes that the runtime makes of `images`: what QuantizeLinear makes of it, or
    the result of a QLinear operation or of a move of codes; a dequantized output gives its own name."""
    model = onnx.load(path)
    fixed = {t.name for t in model.graph.initializer}
    (image,) = [i.name for i in model.graph.input if i.name not in fixed]
    outputs, names = {o.name for o in model.graph.output}, {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in fixed:
            names[node.output[0]] = node.input[0]
        elif node.op_type.startswith("QLinear") or node.op_type == "QGemm" or node.op_type in MOVES and node.input[0] in names:
            names |= {name: name for name in node.output}
        elif node.op_type == "DequantizeLinear" and node.output[0] in outputs and node.input[0] in names:
            names[node.input[0]] = node.output[0]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in outputs)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names.values(), session.run(list(names), {image: images})))


def compared(program, images, theirs, fed):
    """Tensor to (codes compared, codes that differ, the largest difference). `fed`: each step gets the runtime's codes, so that
    a difference is its own and no earlier step's. The input is the runtime's own codes: see `inputs_apart`."""
    (first,) = program.inputs
    live, found = {first: np.ascontiguousarray(theirs[first] if first in theirs else program.encode(images))}, {}
    for call in program.plan("kernel"):
        call(live, len(images), unwatched)
        for name in call.step.outputs.values():
            if name in theirs and theirs[name].shape[:1] == (len(images),):     # else the batch is no first axis there
                other = np.ascontiguousarray(theirs[name].reshape(live[name].shape))
                apart = np.abs(live[name].astype(np.int64) - other)
                found[name] = other.size, int((apart != 0).sum()), int(apart.max(initial=0))
                if fed:
                    live[name] = other
    return found


def inputs_apart(program, images, theirs):
    """How many codes of the input differ."""
    (first,) = program.inputs
    return int((program.encode(images) != theirs[first]).sum()) if first in theirs else 0


def totals(found):
    return sum(count for count, _, _ in found.values()), {name: wrong for name, (_, wrong, _) in found.items() if wrong}
