"""refq: what an integer neural network computes, to the bit; and how to prove that your hardware does the same.

    network = refq.load("vit.onnx")                              # a float network from ONNX or safetensors
    program = refq.quantize(network, images, "int8", "tflite")   # integers only, under a named dialect
    logits = program.decode(program.run(program.encode(images))[program.outputs[0]])
    pack = refq.record(program, images, "pack")                  # golden inputs, intermediates and outputs
    print(refq.verify(pack, "dump.npz"))                         # pass, or the first wrong step and its cause

Names are loaded when they are first used, so that `import refq` is quick.
"""
from importlib import import_module

__version__ = "0.1.0"

PUBLIC = {
    "load": "refq.load.network",
    "quantize": "refq.graph.quantize",
    "prune": "refq.graph.sparsity",
    "Program": "refq.graph.program",
    "save": "refq.graph.store",
    "record": "refq.vectors.record",
    "read": "refq.vectors.pack",
    "verify": "refq.vectors.verify",
    "verify_kernel": "refq.vectors.kernels.kernel",
    "verify_python": "refq.vectors.kernels.kernel_python",
    "verify_onnxruntime": "refq.vectors.kernels.kernel_onnx",
    "draw": "refq.vectors.draw",
    "score": "refq.vectors.scoring.scored",
    "explain": "refq.view.explain",
    "shrink_kernel": "refq.vectors.shrinking.shrink",
    "shrink_dump": "refq.vectors.shrinking.shrink",
    "bisect": "refq.vectors.bisect",
    "prove": "refq.vectors.prove.prove",
    "extremes": "refq.graph.extremes",
    "export": "refq.vectors.exchange.exported",
    "import_": "refq.vectors.exchange.imported",
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
