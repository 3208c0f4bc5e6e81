"""Single-operation .tflite models, made with the schema classes of LiteRT's wheel, and LiteRT to run them.

    x = Tensor((4, 8), "int8", 0.5, -7)
    w = Tensor((3, 8), "int4", scales, codes=w)             one scale for each place of `axis`; a zero point for each, or one
    y = Tensor((4, 3), "int8", 0.25, 5)
    model = operation("FULLY_CONNECTED", [x, w, None], [y], "FullyConnected", fusedActivationFunction="RELU")
    y, = run(model, [x_codes], "reference")

An input that is left out is None. Options are named as in the schema, enumerations by their words. A tensor with `codes` is a
constant of the model; the others are fed, and read, in the order in which they stand.
"""
import contextlib
import os
from dataclasses import dataclass

import numpy as np

RESOLVERS = {"reference": "BUILTIN_REF", "ruy": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "AUTO"}
"""LiteRT's kernels: those that are written to be read; those that are fast; and XNNPACK, where it takes the operation."""
ENUMERATIONS = {"padding": "Padding", "fusedActivationFunction": "ActivationFunctionType", "mode": "MirrorPadMode",
                "inDataType": "TensorType", "outDataType": "TensorType", "quantizedBiasType": "TensorType"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: `kind` is a word of the schema's TensorType; `scale` None for one without a grid; `zero` is the same for
    every scale, or one for each; `axis`: along which the scales lie; `codes` of a constant, unpacked."""

    shape: tuple
    kind: str = "int8"
    scale: object = None
    zero: object = 0
    axis: int = 0
    codes: object = None


def constant(codes, kind=None, scale=None, zero=0, axis=0):
    """A constant Tensor; its kind is that of the array where no other one is said (int4 codes come as int8)."""
    codes = np.asarray(codes)
    return Tensor(codes.shape, kind or codes.dtype.name, scale, zero, axis, codes)


def packed(codes, kind):
    """The bytes of codes: those of 4 and 2 bits share a byte, the first one lowest."""
    bits = {"int4": 4, "uint4": 4, "int2": 2}.get(kind)
    if not bits:
        return np.ascontiguousarray(codes, np.dtype(kind).newbyteorder("<")).tobytes()
    flat, each = codes.astype(np.uint8).reshape(-1) & (1 << bits) - 1, 8 // bits
    parts = np.pad(flat, (0, -len(flat) % each)).reshape(-1, each) << np.arange(0, 8, bits, dtype=np.uint8)
    return np.bitwise_or.reduce(parts, axis=1).astype(np.uint8).tobytes()


def operation(name, taken, given, options=None, version=None, **settings):
    """The bytes of a model with the one operation `name` (a word of BuiltinOperator) that takes and gives these Tensors.
    `options`: the kind of its options without the word itself; `version`: of the operation, by default one that serves."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    graph, code, step = schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version or VERSIONS.get(name, 1)
    graph.tensors, graph.operators = [], [step]
    places = [-1 if t is None else added(schema, model, t) for t in (*taken, *given)]
    step.opcodeIndex, step.inputs, step.outputs = 0, places[:len(taken)], places[len(taken):]
    graph.inputs = [place for place, t in zip(places, taken) if t is not None and t.codes is None]
    graph.outputs = step.outputs
    if options:
        step.builtinOptionsType = getattr(schema.BuiltinOptions, options + "Options")
        step.builtinOptions = getattr(schema, options + "OptionsT")()
        for key, value in settings.items():
            enumeration = ENUMERATIONS.get(key) if isinstance(value, str) else None
            setattr(step.builtinOptions, key, getattr(getattr(schema, enumeration), value) if enumeration else value)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


VERSIONS = {"FULLY_CONNECTED": 12, "CONV_2D": 8, "DEPTHWISE_CONV_2D": 6, "TRANSPOSE_CONV": 5, "BATCH_MATMUL": 4, "ADD": 5,
            "SUB": 5, "MUL": 7, "QUANTIZE": 3, "DEQUANTIZE": 6, "MEAN": 3, "SUM": 2, "CONCATENATION": 5, "PAD": 4,
            "AVERAGE_POOL_2D": 3, "MAX_POOL_2D": 3, "LOGISTIC": 3, "TANH": 3, "SOFTMAX": 3, "LEAKY_RELU": 2, "HARD_SWISH": 1,
            "GELU": 2, "EXP": 2}
"""The versions of operations that take int8 and int16 codes, grids along an axis, and int4 weights where there are any."""


def added(schema, model, declared):
    """The place of a new tensor of the model's graph."""
    tensor, graph = schema.TensorT(), model.subgraphs[0]
    tensor.name, tensor.shape = f"t{len(graph.tensors)}", np.asarray(declared.shape, np.int32)
    tensor.type, tensor.buffer = getattr(schema.TensorType, declared.kind.upper()), 0
    if declared.scale is not None:
        tensor.quantization = grid = schema.QuantizationParametersT()
        grid.scale = np.atleast_1d(np.asarray(declared.scale, np.float32))
        grid.zeroPoint = np.broadcast_to(np.asarray(declared.zero, np.int64), grid.scale.shape).copy()
        grid.quantizedDimension = declared.axis
    if declared.codes is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(packed(np.asarray(declared.codes), declared.kind), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


@contextlib.contextmanager
def silence():
    """LiteRT tells on standard error which delegate it makes."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def run(model, inputs, kernels):
    """The outputs of the model, a list of arrays; `inputs`: arrays in the order of its inputs; `kernels`: a key of RESOLVERS.
    Raises RuntimeError or ValueError where LiteRT refuses the model."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    with silence():
        resolver = getattr(OpResolverType, RESOLVERS[kernels])
        device = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
        device.allocate_tensors()
    for place, codes in zip(device.get_input_details(), inputs, strict=True):
        device.set_tensor(place["index"], np.ascontiguousarray(codes).reshape(np.shape(codes)))
    device.invoke()
    return [device.get_tensor(place["index"]) for place in device.get_output_details()]


def version():
    """The version of the wheel; raises ImportError where it is not installed."""
    from importlib.metadata import version as of

    import ai_edge_litert.interpreter  # noqa: F401
    return of("ai-edge-litert")
