"""One int8 layer as the model files that black boxes run: a .tflite for LiteRT, an .onnx for ONNX Runtime.

    x (n k) -> y (n m) = quantized(sum over k of x*w, plus bias)
"""
import numpy as np


def fully_connected(schema, n, w, *codes):
    """A .tflite with one FULLY_CONNECTED of int8 codes. `schema`: ai_edge_litert.schema_py_generated; `w` (m k); `codes`:
    bias (m), zx, zp, and float32 scales sx, sw (one, or (m)), sy."""
    return tflite(schema, "FULLY_CONNECTED", schema.FullyConnectedOptionsT(), (n, w.shape[1]), w, (n, len(w)), *codes)


def convolution(schema, n, w, *codes):
    """The same layer as one CONV_2D with a kernel of 1 by 1, on images of n by 1."""
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.padding = schema.Padding.VALID
    return tflite(schema, "CONV_2D", options, (1, n, 1, w.shape[1]), w[:, None, None], (1, n, 1, len(w)), *codes)


def tflite(schema, operation, options, taken, w, given, bias, zx, zp, sx, sw, sy):
    import flatbuffers
    model, graph, code, step = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, operation)
    sw = np.atleast_1d(np.asarray(sw, np.float32))
    code.version = 12 if len(sw) > 1 and operation == "FULLY_CONNECTED" else 4
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [0], [3], [step]
    for name, shape, codes, scales, zero in (("x", taken, None, [sx], zx), ("w", w.shape, w.astype(np.int8), sw, 0),
                                             ("bias", bias.shape, bias.astype("<i4"), np.float32(sx) * sw, 0),
                                             ("y", given, None, [sy], zp)):
        tensor, quantization, buffer = schema.TensorT(), schema.QuantizationParametersT(), schema.BufferT()
        quantization.scale = np.asarray(scales, np.float32)
        quantization.zeroPoint, quantization.quantizedDimension = np.full(len(scales), zero, np.int64), 0
        tensor.name, tensor.shape, tensor.quantization, tensor.buffer = name, np.asarray(shape, np.int32), quantization, 0
        tensor.type = schema.TensorType.INT32 if name == "bias" else schema.TensorType.INT8
        if codes is not None:
            buffer.data = np.frombuffer(codes.tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(tensor)
    step.opcodeIndex, step.inputs, step.outputs = 0, [0, 1, 2], [3]
    step.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    step.builtinOptions = options
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def qlinear(x, w, zx, zp, sx, sw, sy):
    """An ONNX model, as bytes, with one QLinearMatMul: y = x * w transposed, without a bias. `x`: an array like its input
    (n k), of uint8 or int8, which is the type of y too."""
    from onnx import TensorProto, helper, numpy_helper
    kind = TensorProto.UINT8 if x.dtype == np.uint8 else TensorProto.INT8
    constants = {"sx": np.float32(sx), "zx": x.dtype.type(zx), "w": np.ascontiguousarray(w.T), "sw": np.float32(sw),
                 "zw": np.int8(0), "sy": np.float32(sy), "zp": x.dtype.type(zp)}
    graph = helper.make_graph([helper.make_node("QLinearMatMul", ["x", *constants], ["y"])], "layer",
                              [helper.make_tensor_value_info("x", kind, x.shape)],
                              [helper.make_tensor_value_info("y", kind, (len(x), len(w)))],
                              [numpy_helper.from_array(np.asarray(codes), name) for name, codes in constants.items()])
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString()
