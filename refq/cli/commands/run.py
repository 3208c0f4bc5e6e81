"""refq run: a network in integers on images."""
from pathlib import Path

import click

from refq.cli.frame import Place, given, json_option, picture, pictures, tell
from refq.errors import IllFormed


@click.command("run")
@click.argument("model", type=Place())
@click.option("--input", "data", required=True, type=Place(), help="Images: .npy, .npz or a folder.")
@click.option("--out", type=Place(), help="Write the output's codes to this .npy file.")
@click.option("--recipe", default="int8", show_default=True,
              help="Of a float network: int8, w8a16, w4a8, fqvit, or a .toml file of yours; it is "
                   "calibrated on the images.")
@click.option("--dialect", default="tflite", show_default=True,
              help="A name (refq show lists them) or a .toml file of yours; of networks that come quantized too.")
@click.option("--integer-only", is_flag=True,
              help="Of a network that comes quantized: nothing runs in float; what the dialect lacks it borrows, or is refused.")
@click.option("--engine", default="kernel", show_default=True, type=click.Choice(["kernel", "spec"]),
              help="kernel: compiled and fast; spec: the formula itself, in NumPy.")
@pictures
@json_option
def command(model, data, out, recipe, dialect, integer_only, engine, mean, deviation, crop, as_json):
    """Run a network or a pack's program, in integers, on images.

    MODEL is a pack, an .onnx, .tflite or .safetensors file. A pack, and a network that comes quantized, takes reals, or codes in
    an array of its input's own integer dtype.
    """
    from refq.cli.running import run
    from refq.view import summary
    if (asked := given("recipe", "dialect", "integer_only")) and (Path(model) / "manifest.json").exists():
        raise IllFormed(f"{' and '.join(asked)}: {model} is a pack, which has its own; leave it out")
    how = picture(mean, deviation, crop, data)
    report = run(model, data, out, recipe if given("recipe") else None, dialect, engine, how, integer_only)
    tell(report, summary.run(report), as_json)
