"""Small quantized ONNX files, made node by node: the same layer in every form that such files come in."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

CHANNELS, INPUTS = 3, 4


def parts(**changed):
    """The tensors of a linear layer on grids: x u8, w i8 per channel, bias i32, y u8; `changed` replaces some."""
    rng = np.random.default_rng(7)
    f, sw = np.float32, np.array([1 / 64, 1 / 32, 3 / 128], np.float32)
    made = {"sx": f(0.5), "zx": np.uint8(3), "w": rng.integers(-127, 128, (CHANNELS, INPUTS)).astype(np.int8), "sw": sw,
            "zw": np.zeros(CHANNELS, np.int8), "bias": np.array([100, -70, 3], np.int32), "sb": f(0.5) * sw,
            "zb": np.zeros(CHANNELS, np.int32), "sy": f(0.25), "zy": np.uint8(120)}
    return made | changed


def qdq(tensors):
    """DequantizeLinear of everything, Gemm, QuantizeLinear and back."""
    return [("QuantizeLinear", "x sx zx", "x_q", {}), ("DequantizeLinear", "x_q sx zx", "x_r", {}),
            ("DequantizeLinear", "w sw zw", "w_r", {"axis": 0}), ("DequantizeLinear", "bias sb zb", "b_r", {"axis": 0}),
            ("Gemm", "x_r w_r b_r", "y_f", {"transB": 1}), ("QuantizeLinear", "y_f sy zy", "y_q", {}),
            ("DequantizeLinear", "y_q sy zy", "y", {})]


def qgemm(tensors):
    """The same as one QGemm of onnxruntime."""
    return [("QuantizeLinear", "x sx zx", "x_q", {}),
            ("com.microsoft.QGemm", "x_q sx zx w sw zw bias sy zy", "y_q", {"transB": 1}),
            ("DequantizeLinear", "y_q sy zy", "y", {})]


def integer(tensors):
    """MatMulInteger, and the multiplication that makes reals of its sum; no bias."""
    tensors |= {"wt": np.ascontiguousarray(tensors["w"].T), "units": np.float32(tensors["sx"]) * tensors["sw"]}
    return [("QuantizeLinear", "x sx zx", "x_q", {}), ("MatMulInteger", "x_q wt zx", "acc", {}),
            ("Cast", "acc", "acc_f", {"to": TensorProto.FLOAT}), ("Mul", "acc_f units", "y_f", {}),
            ("QuantizeLinear", "y_f sy zy", "y_q", {}), ("DequantizeLinear", "y_q sy zy", "y", {})]


def qonnx(tensors):
    """Quant nodes on reals, as Brevitas and QKeras export them."""
    tensors |= {"wf": (tensors["w"] * tensors["sw"][:, None]).astype(np.float32), "bf": tensors["bias"] * tensors["sb"],
                "eight": np.float32(8), "wide": np.float32(32), "sw2": tensors["sw"][:, None], "zero": np.float32(0),
                "zxf": np.float32(tensors["zx"]), "zyf": np.float32(tensors["zy"])}
    quant, said = "qonnx.custom_op.general.Quant", {"narrow": 0, "rounding_mode": "ROUND"}
    return [(quant, "x sx zxf eight", "x_r", {"signed": 0, **said}), (quant, "wf sw2 zero eight", "w_r", {"signed": 1, **said}),
            (quant, "bf sb zero wide", "b_r", {"signed": 1, **said}), ("Gemm", "x_r w_r b_r", "y_f", {"transB": 1}),
            (quant, "y_f sy zyf eight", "y", {"signed": 0, **said})]


def written(folder, form, tensors=None, shape=("n", INPUTS), nodes=None, types=None):
    """The file of a form (a function above, or `nodes`) with these tensors. `types`: initializer to an ONNX type that NumPy
    does not have."""
    tensors = dict(tensors or parts())
    nodes = nodes or form(tensors)
    used = {name for _, inputs, _, _ in nodes for name in inputs.split()}
    made = []
    for op, inputs, output, attributes in nodes:
        domain, _, op = op.rpartition(".")
        made.append(helper.make_node(op, [n.replace("-", "") for n in inputs.split()], output.split(), op.lower() + "_" + output,
                                     domain=domain, **attributes))
    initializers = [helper.make_tensor(n, types[n], np.shape(v), np.ravel(v).tolist()) if types and n in types
                    else numpy_helper.from_array(np.asarray(v), n) for n, v in tensors.items() if n in used]
    graph = helper.make_graph(made, "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], initializers)
    opsets = [helper.make_opsetid(d, v) for d, v in (("", 21), ("com.microsoft", 1), ("qonnx.custom_op.general", 1))]
    path = folder / "layer.onnx"
    save_model(helper.make_model(graph, ir_version=10, opset_imports=opsets), path)
    return path
