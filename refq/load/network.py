"""A network from a file: ONNX, TFLite, or safetensors with the names of a known architecture; in canonical form."""
from pathlib import Path

from refq.errors import IllFormed

INDEX = ".safetensors.index.json"
ENDINGS = (".onnx", ".tflite", ".safetensors")
"""What the names of files with networks end in, and the index of one in several files."""


def load(path):
    """The canonical graph of the network in `path` (.onnx, .tflite, .safetensors, the .safetensors.index.json of several, or a
    folder that holds one of them); one that comes quantized has grids, and one of which the weights do has `kept`, their grids.

    Raises IllFormed for a file that does not exist or has another ending; Corrupt for a damaged one; Unsupported with
    every operation that refq does not know.

    >>> import refq
    >>> from refq import embedded
    >>> network = refq.load(embedded.network())
    >>> list(network.inputs.values())
    [(1, 1, 8, 8)]
    """
    path = Path(path)
    if path.is_dir():
        path = inside(path)
    if not path.exists():
        raise IllFormed(f"{path}: no such file; networks come as {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    if path.suffix == ".onnx":
        from refq.graph.canonical import canonical
        from refq.load import onnx
        return canonical(onnx.load(path))
    if path.suffix == ".safetensors" or path.name.endswith(INDEX):
        from refq.load import safetensors
        return safetensors.load(path)
    if path.suffix == ".tflite":
        from refq.graph.canonical import canonical
        from refq.load import tflite
        return canonical(tflite.load(path))
    raise IllFormed(f"{path}: a network ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")


def inside(folder):
    """The one model in a folder; a network in several files is their index."""
    if len(indices := sorted(folder.glob(f"*{INDEX}"))) == 1:
        return indices[0]
    found = sorted(p for ending in ENDINGS for p in folder.glob(f"*{ending}"))
    if len(found) != 1:
        raise IllFormed(f"{folder}: holds {len(found)} networks ({', '.join(ENDINGS)}); name one")
    return found[0]
