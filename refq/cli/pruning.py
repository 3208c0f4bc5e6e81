"""The way of `refq prune`, and of `refq show --masks`: from a network to masks, and what masks are and whether they hold."""
from pathlib import Path

from refq import embedded
from refq.errors import IllFormed
from refq.graph.sparsity import prune as choose
from refq.load.network import load
from refq.pruners import mask
from refq.pruners.inspect import facts
from refq.vectors.pack import read
from refq.view import pattern


def prune(model, method, layers, parameters, out, within, also):
    """(value, text): choose masks and write them to the file `out`. `within`, `also`: None, or a file of masks; a weight is then
    kept where both keep it, or where either does."""
    out = Path(out)
    if out.suffix != mask.ENDING:
        raise IllFormed(f"{out}: masks are written as {mask.ENDING}")
    network = load(model or embedded.network())
    if isinstance(parameters.get("axis"), str) and parameters["axis"].isdecimal():
        parameters["axis"] = int(parameters["axis"])
    masks = choose(network, method, layers or ("*",), **parameters)
    for path, join in ((within, "__and__"), (also, "__or__")):
        if path is not None:
            other = mask.load(path)
            other.admit(network)
            masks = getattr(masks, join)(other)
    value, text = told(network.name, masks)
    masks.save(out)
    return value | {"out": str(out)}, f"{text}\n\nwritten to {out}"


def shown(what, path, plot):
    """(value, text, do they hold): the masks in the file `path` of a network (None: the embedded one), or beside a pack, in whose
    program they are proved; `plot`: None, or where a picture of the patterns is written."""
    masks = mask.load(path)
    if what is not None and (Path(what) / "manifest.json").exists():
        pack = read(what)
        value, text = told(str(what), masks)
        found = masks.hold(pack.program)
        recorded = (pack.manifest["about"].get("masks") or {}).get("hash")
        value |= {"recorded_with": recorded, "broken": {name: said for name, said in found.items() if said}}
        lines = [f"broken            {name}: {said}" for name, said in value["broken"].items()]
        lines = lines or [f"proved            every masked weight of {len(masks)} tensors is exactly 0 in the pack's program"]
        said = "these masks" if recorded == masks.hash else f"other masks, {recorded}" if recorded else "no masks"
        lines.append(f"recorded with     {said}")
        holds, text = not value["broken"], text + "\n\n" + "\n".join(lines)
    else:
        network = load(what or embedded.network())
        masks.admit(network)
        (value, text), holds = told(network.name, masks), True
    if plot is not None:
        drawn = pattern.draw(masks, plot)
        value |= {"picture": str(plot), "drawn": drawn}
        text += f"\n\n{len(drawn)} of {len(masks)} tensors drawn in {plot}"
    return value, text, holds


def told(name, masks):
    value = {"network": name, **masks.describe()} | {"tensors": {n: facts(m) for n, m in masks.tensors.items()}}
    return value, pattern.text(value, masks)
