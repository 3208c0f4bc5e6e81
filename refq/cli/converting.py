"""The way of `refq export --to qdq`: a network that comes quantized, in ONNX's QDQ form."""
from pathlib import Path

from refq.errors import IllFormed
from refq.load.network import load
from refq.load.qdq import write


def to_qdq(model, out, unit, cases, options):
    """Write the network; gives the report as plain values. A pack has no network to write, only what it became."""
    if (Path(model) / "manifest.json").exists():
        raise IllFormed(f"{model}: a pack; --to qdq takes the network that it was made of")
    given = [word for word, value in ({"unit": unit, "cases": cases} | options).items() if value is not None]
    if given:
        raise IllFormed(f"--to qdq takes no --{given[0]}; it writes the network itself")
    graph = load(model)
    write(graph, out)
    return {"out": str(out), "format": "qdq", "nodes": len(graph.nodes), "grids": len(graph.grids)}
