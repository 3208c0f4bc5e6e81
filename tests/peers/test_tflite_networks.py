"""TFLite files, loaded and run as the integers that they are, against LiteRT's reference kernels: each operator, and networks."""
import numpy as np
import pytest

import refq
from tools.engines import tflite_models as lite
from tools.engines.tflite_models import Tensor, constant, operation

RNG = np.random.default_rng(4)
IMAGE = Tensor((1, 7, 6, 4), "int8", 0.05, 3)


def image(h, w, c, scale=0.07, zero=-5, kind="int8"):
    return Tensor((1, h, w, c), kind, scale, zero)


def codes(*shape, kind="int8", lo=-127, hi=127):
    return RNG.integers(lo, hi, shape, endpoint=True).astype(kind)


def numbers(*values):
    return constant(np.array(values, np.int32))


def scales(n):
    return np.float32(0.01) * RNG.uniform(0.5, 2, n).astype(np.float32)


def bias(units, kind="int32"):
    return constant(codes(len(units), kind=kind, lo=-3000, hi=3000), kind, units)


def convolved(kind="int8", act=None, weights="int8", **window):
    s, x = scales(5), Tensor((1, 7, 6, 4), kind, 0.05, 3 if kind == "int8" else 0)
    lo, hi = (-7, 7) if weights == "int4" else (-127, 127)
    held = constant(codes(5, 3, 2, 4, lo=lo, hi=hi), weights, s)
    units = (s * np.float32(0.05)).astype(np.float32)
    said = {"padding": "SAME", "strideH": 1, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1} | window
    y = Tensor((1, 7, 3, 5) if said["padding"] == "SAME" else (1, 5, 3, 5), kind, 0.4, -5 if kind == "int8" else 0)
    b = bias(units, "int64" if kind == "int16" else "int32")
    return operation("CONV_2D", [x, held, b], [y], "Conv2D", fusedActivationFunction=act or "NONE", **said)


def depthwise():
    s = scales(8)
    units = (s * np.float32(0.05)).astype(np.float32)
    return operation("DEPTHWISE_CONV_2D", [IMAGE, constant(codes(1, 3, 3, 8), "int8", s, axis=3), bias(units)],
                     [image(4, 3, 8)], "DepthwiseConv2D", padding="SAME", strideH=2, strideW=2, depthMultiplier=2,
                     dilationHFactor=1, dilationWFactor=1, fusedActivationFunction="RELU6")


def connected(x=(3, 8), keep=False):
    s = scales(4)
    units = (s * np.float32(0.5)).astype(np.float32)
    return operation("FULLY_CONNECTED", [Tensor(x, "int8", 0.5, -7), constant(codes(4, 8), "int8", s), bias(units)],
                     [Tensor((*x[:-1], 4) if keep else (int(np.prod(x)) // 8, 4), "int8", 0.9, 5)], "FullyConnected",
                     keepNumDims=keep, fusedActivationFunction="RELU")


def two(name, kind="int8"):
    zero = 0 if kind == "int16" else 4
    return operation(name, [Tensor((1, 3, 5), kind, 0.05, zero), Tensor((1, 3, 5), kind, 0.11, -zero)],
                     [Tensor((1, 3, 5), kind, 0.13, -zero)], name.title(), fusedActivationFunction="NONE")


def pooled(name, padding="VALID"):
    shape = (3, 3) if padding == "VALID" else (4, 3)
    return operation(name, [IMAGE], [image(*shape, 4, 0.05, 3)], "Pool2D", filterHeight=2, filterWidth=2, strideH=2, strideW=2,
                     padding=padding, fusedActivationFunction="NONE")


MODELS = {
    "CONV_2D": convolved, "CONV_2D valid": lambda: convolved(padding="VALID"), "CONV_2D relu": lambda: convolved(act="RELU"),
    "CONV_2D 16x8": lambda: convolved("int16"), "CONV_2D int4": lambda: convolved(weights="int4"),
    "DEPTHWISE_CONV_2D": depthwise, "FULLY_CONNECTED": connected,
    "FULLY_CONNECTED rows": lambda: connected((1, 3, 8), keep=True), "ADD": lambda: two("ADD"), "SUB": lambda: two("SUB"),
    "MUL": lambda: two("MUL"), "ADD int16": lambda: two("ADD", "int16"), "MUL int16": lambda: two("MUL", "int16"),
    "AVERAGE_POOL_2D": lambda: pooled("AVERAGE_POOL_2D"), "AVERAGE_POOL_2D same": lambda: pooled("AVERAGE_POOL_2D", "SAME"),
    "MAX_POOL_2D": lambda: pooled("MAX_POOL_2D"),
    "MEAN": lambda: operation("MEAN", [IMAGE, numbers(1, 2)], [Tensor((1, 4), "int8", 0.04, 1)], "Reducer"),
    "RESHAPE": lambda: operation("RESHAPE", [IMAGE, numbers(1, 168)], [Tensor((1, 168), "int8", 0.05, 3)]),
    "TRANSPOSE": lambda: operation("TRANSPOSE", [IMAGE, numbers(0, 3, 1, 2)], [Tensor((1, 4, 7, 6), "int8", 0.05, 3)]),
    "PAD": lambda: operation("PAD", [IMAGE, numbers([0, 0], [1, 0], [0, 2], [0, 0])], [image(8, 8, 4, 0.05, 3)]),
    "CONCATENATION": lambda: operation("CONCATENATION", [IMAGE, IMAGE], [image(7, 6, 8, 0.05, 3)], "Concatenation", axis=3),
    "QUANTIZE": lambda: operation("QUANTIZE", [IMAGE], [image(7, 6, 4, 0.11, 9)]),
    "SOFTMAX": lambda: operation("SOFTMAX", [Tensor((1, 9), "int8", 0.1, 3)], [Tensor((1, 9), "int8", 1 / 256, -128)],
                                 "Softmax", beta=1.0),
    "LOGISTIC": lambda: operation("LOGISTIC", [IMAGE], [image(7, 6, 4, 1 / 256, -128)]),
    "TANH": lambda: operation("TANH", [IMAGE], [image(7, 6, 4, 1 / 128, 0)]),
    "RELU6": lambda: operation("RELU6", [IMAGE], [image(7, 6, 4, 0.05, 3)]),
    "LEAKY_RELU": lambda: operation("LEAKY_RELU", [IMAGE], [image(7, 6, 4)], "LeakyRelu", alpha=0.1),
    "HARD_SWISH": lambda: operation("HARD_SWISH", [IMAGE], [image(7, 6, 4)]),
}


@pytest.fixture(scope="module")
def device(need):
    need("tflite")
    return need("ai_edge_litert.interpreter")


@pytest.mark.parametrize("name", MODELS)
def test_each_operator_loads_and_gives_what_litert_gives(device, name, tmp_path, tally):
    """One operator, all its outputs, by refq's own roles of `litert_reference`: no code differs."""
    path = tmp_path / "one.tflite"
    model = MODELS[name]()
    path.write_bytes(model)
    program = refq.quantize(refq.load(path), dialect="litert_reference")
    inputs, given = {}, []
    for place in program.inputs:
        width = program.tensors[place].width
        inputs[place] = RNG.integers(width.lo, width.hi, (20, *program.tensors[place].shape), endpoint=True).astype(width.dtype)
    rows = program.tensors[program.inputs[0]].shape
    expected = np.concatenate([np.atleast_1d(lite.run(model, [x[i:i + 1] if len(rows) == len(program.tensors[n].shape) else x[i]
                                                              for n, x in inputs.items()], "reference")[0]) for i in range(20)]) \
        if name != "FULLY_CONNECTED" else None
    if expected is None:
        inputs = {n: x[:3].reshape(3, 8) for n, x in inputs.items()}
        expected = lite.run(model, list(inputs.values()), "reference")[0]
    given = program.run(inputs)[program.outputs[0]]
    np.testing.assert_array_equal(given.reshape(expected.shape), expected)
    tally(f"LiteRT {name}, loaded", given.size)


@pytest.mark.parametrize("h, w, zx, zo", [(7, 6, 3, -5), (1, 1, -128, 127), (4, 4, 127, 0)])
def test_a_mean_that_keeps_the_axes_of_an_image_has_a_kernel_of_its_own(device, h, w, zx, zo, tmp_path, tally):
    """By LiteRT's fast kernels, 16 channels at a time; where the axes are dropped it is the other one."""
    for keep, roles in ((True, {"rescale_mean_image", "requantize_wide"}), (False, {"rescale_mean"})):
        path = tmp_path / f"{keep}.tflite"
        y = Tensor((1, 1, 1, 256) if keep else (1, 256), "int8", 0.031, zo)
        path.write_bytes(operation("MEAN", [image(h, w, 256, 0.05, zx), numbers(1, 2)], [y], "Reducer", keepDims=keep))
        program, x = refq.quantize(refq.load(path), dialect="tflite_ruy"), codes(1, h, w, 256)
        expected = lite.run(path.read_bytes(), [x], "ruy")[0]
        np.testing.assert_array_equal(program.run(x)[program.outputs[0]].reshape(expected.shape), expected)
        assert {name for name in program.roles if name.startswith("re")} == roles
        tally("LiteRT MEAN, fast", expected.size)


@pytest.mark.parametrize("file, images", [("resnet8_cifar10_mlperf_int8.tflite", 8),
                                          ("mobilenet_v2_1.0_224_imagenet_ptq_int8.tflite", 1)])
def test_networks_give_every_tensor_that_litert_gives(device, assets, tally, file, images):
    """Inputs, intermediate tensors and outputs of real networks: every code that both have is the same."""
    path = assets(f"models/{file}")
    program = refq.quantize(refq.load(path), dialect="litert_reference")
    kind = device.OpResolverType.BUILTIN_REF
    with lite.silence():
        runtime = device.Interpreter(model_path=str(path), experimental_op_resolver_type=kind, num_threads=1,
                                     experimental_preserve_all_tensors=True)
        runtime.allocate_tensors()
    place, compared = runtime.get_input_details()[0], 0
    details = {d["name"]: d["index"] for d in runtime.get_tensor_details()}
    for _ in range(images):
        ends = np.iinfo(place["dtype"])
        x = RNG.integers(ends.min, ends.max, place["shape"], endpoint=True).astype(place["dtype"])
        runtime.set_tensor(place["index"], x)
        runtime.invoke()
        seen = {}
        program.run(x, watch=lambda step, name, array, seen=seen: seen.__setitem__(name, array.copy()))
        for name, ours in seen.items():
            if name in details and (theirs := runtime.get_tensor(details[name])).size == ours.size:
                np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs, err_msg=name)
                compared += ours.size
    assert compared > 100_000 * images
    tally(f"LiteRT, {file}", compared)
