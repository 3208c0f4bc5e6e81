"""The way of `refq show`: finds out what a name means, and gives it as plain values and as text."""
from dataclasses import fields
from functools import partial
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from textwrap import fill

from refq import dialects, grids, layouts, ops, pruners, quantizers, recipes
from refq.cli.frame import columns
from refq.cli.networks import admit, quantized
from refq.errors import IllFormed, nearest
from refq.grids import schemes
from refq.ints import minifloat, rounding
from refq.ints.row import stated
from refq.load import images as pictures
from refq.load.network import ENDINGS, load
from refq.reals.floats import table
from refq.vectors.pack import read
from refq.view import events, flow, formats, reference, roundings, show, words
from refq.view.glossary import RECIPE


def at(what, data, recipe, dialect, picture):
    """(value, text) of a dialect, recipe, operation, rounding, pack or network; of all names where nothing is asked."""
    if what is None:
        return everything()
    if what == "toml":
        return reference.toml()
    if what.partition(":")[0] in ops.names() and ":" in what:
        return words.published(what, columns())
    path = Path(what)
    if path.suffix == ".toml" or what in (*dialects.names(), *dialects.NONE):
        d = dialects.load(what)
        return show.jsonable(d), show.dialect(d)
    if (path / "manifest.json").exists():
        pack = read(path)
        about = {"pack_hash": pack.hash, "cases": pack.cases, "events": pack.events, "about": pack.manifest["about"]}
        head = f"pack {path}: {pack.cases} case{'s' * (pack.cases != 1)}, hash {pack.hash}\n"
        about |= {"left": [e for e, _, _ in events.left(pack.manifest["events"])]}
        said = "\n\n".join([show.program(pack.program), events.text(pack.manifest["events"])])
        return about | show.program_words(pack.program), head + said
    if path.suffix in ENDINGS or path.is_dir():
        return network(path, data, recipe, dialect, picture)
    kinds = (("recipe", recipes.names(), a_recipe), ("operation", ops.names(), an_operation),
             ("rounding", rounding.names, roundings.of_word), ("role", roles(), a_role),
             ("format", minifloat.names, formats.told),
             *((kind, names(), partial(a_file, kind, folder)) for kind, (folder, names) in FOLDERS.items()))
    meant = {kind: describe(what) for kind, names, describe in kinds if what in names}
    if len(meant) == 1:
        return next(iter(meant.values()))
    if meant:
        text = "\n\n".join(f"{what} as a {kind}\n\n{text}" for kind, (_, text) in meant.items())
        return {kind: value for kind, (value, _) in meant.items()}, text
    known = (*dialects.names(), *(name for _, names, _ in kinds for name in names))
    found = nearest(what, known)
    raise IllFormed(f"{what!r} is no pack, network, .toml file, nor a name that refq knows: "
                    f"{found if found.endswith('?') else 'refq show lists those'}")


def drawn(function, path, scale):
    """(value, text) of a picture of the integer forms of a function, which is written to `path`."""
    from refq.view.plot import ENDINGS as pictured
    from refq.view.plot import draw
    if Path(path).suffix not in pictured:
        raise IllFormed(f"{path}: a picture ends in {', '.join(pictured)}")
    errors = draw(function or "", path, scale)
    text = show.table(["form", "largest error"], [[form, f"{error:.4g}"] for form, error in errors.items()])
    value = {"function": function, "scale": scale, "picture": str(path), "largest_error": errors}
    return value, f"{text}\n\nwritten to {path}"


FOLDERS = {"grid": (grids, grids.kinds), "scheme": (schemes, schemes.names), "quantizer": (quantizers, quantizers.names),
           "pruner": (pruners, pruners.names), "layout": (layouts, layouts.names)}
"""What a name can be whose file says in its docstring what it is: the package of such files, and their names."""


def everything():
    value = {"dialects": dialects.names(), "recipes": recipes.names(), "operations": ops.names(), "roundings": rounding.names,
             "roles": roles(), "loads": sorted(table), "formats": minifloat.names}
    value |= {f"{kind}s": names() for kind, (_, names) in FOLDERS.items()}
    value = {k: list(v) for k, v in value.items()}
    wide, indent = min(columns() or 100, 100), " " * 12
    text = "\n".join(fill(", ".join(names), wide, break_on_hyphens=False, initial_indent=f"{kind:12s}", subsequent_indent=indent)
                     for kind, names in value.items())
    return value, text + "\n\nrefq show NAME tells more; so do a pack, a network and a dialect's .toml file;\n" \
        "refq show toml lists all that such a file can state"


def network(path, data, recipe, dialect, picture):
    """A float network as its nodes; with images to calibrate on, or where it comes quantized, as the program that it becomes."""
    graph, program = program_of(path, data, recipe, dialect, picture)
    if program is None:
        return show.graph_words(graph), show.graph(graph)
    return show.program_words(program), show.program(program)


def program_of(path, data, recipe, dialect, picture):
    """(network, its program): the program is None of a float network where there are no images to calibrate on."""
    graph = load(path)
    admit(path, graph, recipe)
    if graph.grids or data is None:
        return graph, quantized(path, graph, None, recipe, dialect) if graph.grids else None
    images = pictures.images(data, next(iter(graph.inputs.values()))[1:], **picture)
    return graph, quantized(path, graph, images, recipe, dialect)


def a_recipe(name):
    r = recipes.load(name)
    value = {f.name: getattr(r, f.name) for f in fields(r)}
    rows = [[k, "none" if v == () else str(v), RECIPE[k]] for k, v in value.items() if k in RECIPE]
    head = f"{r.name}: {r.title}\nsource   {r.source}\n\n"
    return value, head + flow.table(["field", "is", "says"], rows, columns())


def roles():
    """Every role that some dialect has."""
    return tuple(dict.fromkeys(role for name in dialects.names() for role in dialects.load(name).roles))


def a_role(role):
    """Who plays a role, in every dialect."""
    parts = {name: dialects.load(name).roles.get(role) for name in dialects.names()}
    value = {name: part and {"op": part.op, "borrowed": part.borrowed} for name, part in parts.items()}
    rows = [[name, part.op if part else "absent", f"borrowed from {part.borrowed}" if part and part.borrowed else "own",
             show.row(part.row) if part else ""] for name, part in parts.items()]
    return {"role": role, "dialects": value}, f"the role {role}\n\n" + show.table(["dialect", "operation", "whose", "row"], rows)


def a_file(kind, folder, name):
    text = getdoc(import_module(f"{folder.__name__}.{name}"))
    return {kind: name, "contract": text}, flow.text(text, columns())


def an_operation(name):
    module, lines = ops.load(name), reference.of_row(name)
    decided = [f.name for f in fields(module.Row) if f.name not in stated(module.Row)]
    text = flow.table(["field", "says", "can be"], lines, columns()) if lines else "no field: targets do not differ in it"
    rest = f"\n\nthe tensors of a step decide {', '.join(decided)}" if decided else ""
    alone = {f"{name}:{k}": show.row(row) for k, row in ops.published(name).items()}
    if alone:
        rest += "\n\npublished rows, which are no dialect's; refq show and refq vectors take them\n\n" \
            + flow.table(["name", "row"], [[k, v] for k, v in alone.items()], columns())
    said = {k: {"says": says, "can be": can} for k, says, can in lines}
    value = {"operation": name, "contract": module.__doc__, "fields": said, "decided": decided, "published": alone}
    return value, f"{flow.text(getdoc(module), columns())}\n\n{text}{rest}"
