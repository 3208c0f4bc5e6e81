"""refq: what an integer neural network computes, to the bit; and how to prove that your hardware does the same.

    network = refq.load("vit.onnx")                              # a float network from ONNX or safetensors
    program = refq.quantize(network, images, "int8", "tflite")   # integers only, under a named dialect
    logits = program.decode(program.run(program.encode(images))[program.outputs[0]])
    pack = refq.record(program, images, "pack")                  # golden inputs, intermediates and outputs
    print(refq.verify(pack, "dump.npz"))                         # pass, or the first wrong step

Names are loaded when they are first used, so that `import refq` is quick.
"""
from importlib import import_module

__version__ = "0.1.0"

PUBLIC = {
    "load": "refq.load.network",
    "quantize": "refq.graph.quantize",
    "Program": "refq.graph.program",
    "save": "refq.graph.store",
    "record": "refq.vectors.record",
    "read": "refq.vectors.pack",
    "verify": "refq.vectors.verify",
    "verify_kernel": "refq.vectors.kernels.kernel",
    "RefqError": "refq.errors",
    "IllFormed": "refq.errors",
    "Unsupported": "refq.errors",
    "Corrupt": "refq.errors",
}
__all__ = [*PUBLIC, "__version__"]


def __getattr__(name):
    if name not in PUBLIC:
        raise AttributeError(f"module 'refq' has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__():
    return sorted(__all__)
