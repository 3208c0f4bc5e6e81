"""refq bounds: what every accumulator can reach."""
from pathlib import Path

import click

from refq.cli.frame import Place, given, json_option, picture, pictures, tell
from refq.errors import IllFormed


@click.command("bounds")
@click.argument("model", type=Place())
@click.option("--data", type=Place(), help="Of a float network: images to calibrate on; .npy, .npz or a folder.")
@click.option("--recipe", default="int8", show_default=True,
              help="Of a float network: int8, w8a16, w4a8, fqvit, or a .toml file of yours.")
@click.option("--dialect", default="tflite", show_default=True,
              help="The one that a network runs under, also one that comes quantized.")
@click.option("--ask", multiple=True, metavar="DIALECT", help="Is its register wide enough? Repeatable; default: all.")
@click.option("--witness", type=Place(), help="Write what attains every least and greatest sum to this .npz file.")
@pictures
@json_option
def command(model, data, recipe, dialect, ask, witness, mean, deviation, crop, as_json):
    """Say exactly what every accumulator of a network or pack can reach, and who has room for it.

    MODEL is a pack, an .onnx, .tflite or .safetensors file; one that comes quantized needs no --data.

    For the actual weights, over all codes that the activations of a step can hold: the least and the greatest sum, the
    signed bits that it needs, and the dialects whose register has fewer. Where a row joins products in an order, the
    registers on the way are listed too.
    """
    from refq.graph.extremes import extremes
    from refq.view.extremes import text
    if witness and Path(witness).suffix != ".npz":
        raise IllFormed(f"{witness}: witnesses are written as .npz")
    if (Path(model) / "manifest.json").exists():
        if asked := given("data", "recipe", "dialect", "mean", "deviation", "crop"):
            raise IllFormed(f"{' and '.join(asked)}: {model} is a pack, which has its own; leave it out")
        from refq.vectors.pack import read
        program = read(model).program
    else:
        if not Path(model).exists():
            raise IllFormed(f"{model}: no such file; give a pack or a network (.onnx, .tflite, .safetensors)")
        from refq.cli.looking import program_of
        how = picture(mean, deviation, crop, data)
        program = program_of(model, data, recipe if given("recipe") else None, dialect, how)[1]
        if program is None:
            raise IllFormed(f"{model}: a float network has no accumulators yet; give --data IMAGES to quantize it, or a pack")
    found = list(extremes(program, ask))
    if witness:
        write(Path(witness), program, found)
    tell({"program": str(model), "dialect": program.dialect, "registers": [e.words() for e in found],
          "witness": witness and str(witness)}, text(found), as_json)


def write(path, program, found):
    """The file whole, or not at all: STEP.least.x, STEP.most.x ... as refq/graph/extremes.py says."""
    import os
    from uuid import uuid4

    import numpy as np

    from refq.errors import RefqError
    from refq.graph.extremes import witnesses
    arrays = {f"{step}.{label}.{name}": codes for step in dict.fromkeys(e.step for e in found)
              for label, operands in witnesses(program, step).items() for name, codes in operands.items()}
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with open(part, "wb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise RefqError(f"{path}: cannot be written: {e.strerror}") from None
