"""The way of `refq run`: a pack's program, a network that comes quantized, or a float one quantized on the spot, on images."""
import os
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import numpy as np

from refq.cli.networks import admit, codes, quantized
from refq.cli.networks import read as read_network
from refq.errors import IllFormed, RefqError
from refq.load import images as pictures
from refq.vectors.pack import read


def program_of(model, data, recipe, dialect, picture, integer_only=False):
    """(program, images, was it calibrated here): of a pack, of a network that is calibrated on the images, or of one that
    comes quantized."""
    if (Path(model) / "manifest.json").exists():
        program = read(model).program
        return program, pictures.images(data, program.tensors[program.inputs[0]].shape, **picture), False
    network = read_network(model, data)
    admit(model, network, recipe, integer_only=integer_only)
    images = pictures.images(data, next(iter(network.inputs.values()))[1:], **picture)
    program = quantized(model, network, images, recipe, dialect, integer_only=integer_only)
    return program, images, not network.grids


def run(model, data, out, recipe, dialect, engine, picture, integer_only=False):
    """Run, write the codes of the first output where asked to; gives the report as plain values."""
    started = perf_counter()
    if out and Path(out).suffix != ".npy":
        raise IllFormed(f"{out}: codes are written as .npy")
    program, images, calibrated = program_of(model, data, recipe, dialect, picture, integer_only)
    taken, read_as = codes(program, images, not calibrated)
    name = program.outputs[0]
    result = program.run(taken, engine)[name]
    shown = result[:, -1] if places(program) and result.ndim == 3 else result         # the token that follows the last
    flat, values = shown.reshape(len(result), -1), program.decode(shown).reshape(len(result), -1)
    if out:
        write(Path(out), result)
    best = flat.argmax(1)
    classes = best if flat.shape[1] > 1 else flat[:, 0]
    top = [{"class": int(c), "code": int(flat[i, b]), "value": float(values[i, b])}
           for i, (b, c) in enumerate(zip(best, classes))]
    return {"images": len(images), "read_as": read_as, "network": str(model), "recipe": program.recipe,
            "dialect": program.dialect, "engine": engine, "calibrated": calibrated, "left": program.left, "output": name,
            "shape": list(result.shape), "top": top, "out": str(out) if out else None,
            "seconds": round(perf_counter() - started, 2)}


def places(program):
    """Whether the input is tokens, which lie on no grid, and no images."""
    return program.tensors[program.inputs[0]].grid is None


def write(path, codes):
    """The file whole, or not at all."""
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with open(part, "wb") as file:
            np.save(file, codes)
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise RefqError(f"{path}: cannot be written: {e.strerror}") from None
