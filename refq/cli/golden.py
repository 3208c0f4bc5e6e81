"""The way of `refq golden`: from a network and images to a pack, with the figures that a person wants to see."""
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from time import perf_counter

import numpy as np

from refq import dialects, embedded, recipes
from refq.cli.networks import admit, codes, quantized
from refq.cli.networks import read as read_network
from refq.errors import IllFormed
from refq.graph.evaluate import evaluate
from refq.graph.factors import exponents_of
from refq.load import images as pictures
from refq.load.network import load
from refq.pruners import mask
from refq.vectors.record import record, refuse_occupied
from refq.view.events import lines


@dataclass
class Source:
    """A float network, images to run, their classes or None, images to calibrate on, and grids chosen before or None."""

    name: str
    network: object
    images: np.ndarray
    labels: np.ndarray | None
    calibration: np.ndarray
    grids: dict | None = None


def source(model, data, labels, calibrate, recipe, dialect, picture):
    """What the command was asked to work on; without a model, the embedded network with its own images and grids."""
    if model is None:
        if data or labels or calibrate:
            raise IllFormed("--data, --labels and --calibrate go with a MODEL; the embedded network has its own images")
        kept = dialect.name in dialects.names() and exponents_of(dialect) is None      # channels' factors are not among them
        grids = embedded.grids(recipe.name, dialect.asymmetric) if kept else None
        return Source("digits", load(embedded.network()), embedded.as_input(embedded.images()), embedded.labels(),
                      embedded.as_input(embedded.calibration()), grids)
    if data is None:
        raise IllFormed(f"{model}: give the images that it should run on: --data IMAGES.npy or a folder")
    network = read_network(model, data)
    shape = next(iter(network.inputs.values()))[1:]
    images = pictures.images(data, shape, **picture)
    calibration = pictures.images(calibrate, shape, **picture) if calibrate else images
    return Source(network.name, network, images, classes(labels, images, network), calibration)


def classes(path, images, network):
    """The class of each image from an .npy file."""
    if path is None:
        return None
    if network.places:
        raise IllFormed(f"{path}: labels are for networks that name a class for each image; of a language model leave them "
                        "out")
    if not Path(path).exists():
        raise IllFormed(f"{path}: no such file; labels come as .npy")
    labels, count = pictures.array(path), len(images)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise IllFormed(f"{path}: holds {labels.dtype} of shape {labels.shape}; {count} images have {count} integer labels")
    known = evaluate(network, images[:1])[network.outputs[0]].size
    strange = labels[(labels < 0) | ((labels >= known) & (known > 1))]          # one number: the class itself, any
    if strange.size:
        raise IllFormed(f"{path}: holds class {strange[0]}; the network has {known if known > 1 else 'none below 0'}")
    return labels


def golden(model, data, labels, calibrate, recipe, dialect, out, cases, seed, picture, bar, integer_only=False, masks=None,
           dense_grids=False):
    """Quantize, run, compare with the float network, record; gives the report as plain values. `recipe`: None for int8, or
    what the file of a network that comes quantized says. `masks`: a file of them; what is compared with is the pruned network,
    and grids are chosen for what is left, or `dense_grids` for all."""
    started = perf_counter()
    if cases < 1:
        raise IllFormed(f"--cases {cases}: a pack holds at least 1; leave it out for 16")
    asked, dialect = recipe, dialects.load(dialect)
    recipe = recipes.load(recipe or "int8")
    if asked or model is None:
        recipe.admit(dialect)
    if out is not None:
        refuse_occupied(Path(out))
    s = source(model, data, labels, calibrate, recipe, dialect, picture)
    admit(model, s.network, asked, calibrate, integer_only)
    dense = s.network
    s, pruned = masked(s, masks, dense_grids)
    filed = bool(s.network.grids)
    out = Path(out) if out is not None else free("-".join(["golden", s.name, "as-filed" if filed else recipe.name, dialect.name,
                                                           *(["pruned"] if pruned else [])]))
    with bar(len(s.calibration) if s.grids is None and not filed else 0, "calibrating") as shown:
        program = quantized(model, dense if dense_grids else s.network, s.calibration, recipe, dialect, s.grids,
                            lambda done: shown.update(1), integer_only, pruned if dense_grids else None)
    name = program.outputs[0]
    taken, read_as = codes(program, s.images, filed)
    reals = program.decode(taken, program.inputs[0]) if read_as == "codes" else s.images
    exact, integer = [], []
    step = max(1, len(s.images) // 20)
    with bar(len(s.images), "running") as shown:
        for i in range(0, len(s.images), step):
            integer.append(program.decode(program.run(taken[i:i + step])[name]))
            exact.append(evaluate(s.network, reals[i:i + step])[s.network.outputs[0]])
            shown.update(len(integer[-1]))
    lead = (-1, exact[0].shape[-1]) if s.network.places and exact[0].ndim == 3 else (len(taken), -1)
    exact, integer = (np.concatenate(part).reshape(lead) for part in (exact, integer))
    report = figures(exact, integer, s.labels)
    if s.network.places:
        report["tokens"] = len(exact)
    if pruned:
        report["masks"] = pruned.describe() | {"grids": "dense" if dense_grids else "pruned"}
    about = {"network": s.name, "images": len(taken), **report}
    with bar(min(cases, len(taken)), "recording") as shown:
        pack = record(program, taken, out, cases, seed, about, lambda done: shown.update(1))
    return described(pack, out, s, report, read_as) | {"seconds": round(perf_counter() - started, 2)}


def masked(s, path, dense_grids):
    """(the source with its network pruned by the masks in the file `path`, these masks); grids that were chosen before are of
    the dense network."""
    if path is None:
        if dense_grids:
            raise IllFormed("--dense-grids is for --masks, which is not given")
        return s, None
    if s.network.grids and dense_grids:
        raise IllFormed(f"{s.name}: comes quantized, so its grids are the file's either way; leave --dense-grids out")
    masks = mask.load(path)
    return replace(s, network=masks.apply(s.network), grids=s.grids if dense_grids else None), masks


def free(name):
    """The first of name, name-2, name-3 ... that no file or folder has."""
    return next(p for i in count(1) if not (p := Path(name if i == 1 else f"{name}-{i}")).exists())


def figures(exact, integer, labels):
    """How well the integer network follows the float one, over all images (n classes)."""
    top, mine = (v.argmax(1) if v.shape[1] > 1 else v[:, 0] for v in (exact, integer))      # one number: the class itself
    noise = float(((exact - integer) ** 2).sum())
    made = {"agreement": int((top == mine).sum()),
            "signal_to_noise_db": round(10 * float(np.log10(float((exact ** 2).sum()) / noise)), 1) if noise else None}
    if labels is not None:
        made |= {"float_right": int((top == labels).sum()), "integer_right": int((mine == labels).sum())}
    return made


def described(pack, out, s, report, read_as):
    p = pack.program
    activations = [t for t in p.tensors.values() if t.name not in p.constants]
    weights = [(n, p.tensors[n]) for n in p.constants if p.tensors[n].role == "weight" and p.tensors[n].grid.axis == 0]
    silent = {n: k for n, t in weights if (k := int((~p.constants[n].reshape(len(p.constants[n]), -1).any(1)).sum()))}
    notes = [f"{n}: {k} output {'channel has' if k == 1 else 'channels have'} no weights but 0 (scale 1 where the bias is 0 too)"
             for n, k in silent.items()]
    if s.network.grids:
        notes += [f"the images were read as {read_as}",
                  "the network comes quantized: what it is compared with is the file's grids, simulated in float64"]
    return {"pack": str(out), "pack_hash": pack.hash, "program_hash": pack.manifest["program_hash"], "network": s.name,
            "recipe": p.recipe, "dialect": p.dialect,
            "borrowed": {r: part["borrowed"] for r, part in p.roles.items() if part["borrowed"]},
            "left": p.left, "images": len(s.images), "read_as": read_as, **report,
            "cases": pack.cases, "steps": len(p.steps), "tensors": len(activations),
            "constants": len(p.constants), "bytes": sum(f.stat().st_size for f in Path(out).rglob("*") if f.is_file()),
            "events": pack.events, "left_registers": lines(pack.manifest["events"]), "notes": [*s.network.notes, *notes]}
