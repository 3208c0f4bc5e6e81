"""refq show: what a name means."""
import sys

import click

from refq.cli.frame import Place, given, json_option, picture, pictures, tell
from refq.errors import IllFormed


@click.command("show")
@click.argument("what", required=False, type=Place())
@click.option("--data", type=Place(), help="Images to calibrate on: a float network is shown as the program it becomes.")
@click.option("--recipe", default="int8", show_default=True,
              help="Of a float network: int8, w8a16, w4a8, fqvit, or a .toml file of yours.")
@click.option("--dialect", default="tflite", show_default=True,
              help="A name (refq show lists them) or a .toml file of yours; of networks that come quantized too.")
@click.option("--masks", type=Place(), help="Of a network or a pack: the masks of its weights, and whether they hold.")
@click.option("--plot", type=Place(),
              help="Of softmax, gelu, layernorm ...: draw the real curve, every form, and their errors; of --masks: what stays.")
@click.option("--scale", default=1 / 16, show_default=True, help="With --plot: of the int8 codes that enter.")
@pictures
@json_option
def command(what, data, recipe, dialect, masks, plot, scale, mean, deviation, crop, as_json):
    """Show a pack, a network, or what a name means.

    A network is an .onnx, .tflite or .safetensors file. Names are those of dialects, recipes,
    operations, roundings, number formats, grids, schemes, quantizers, pruners and layouts; one that
    means several things is told as each, and OPERATION:ROW is a row that a source states. A program
    is a table of steps; a dialect is its rows, sources and ties; an operation is its contract. Long
    names are cut in the tables, and whole with --json. Without WHAT, the names that refq knows.
    """
    from refq.cli.looking import at, drawn
    if masks is not None:
        from refq.cli.pruning import shown
        if asked := given("data", "recipe", "dialect", "scale"):
            raise IllFormed(f"{' and '.join(asked)}: --masks shows masks, which need none; leave it out")
        value, text, holds = shown(what, masks, plot)
        tell(value, text, as_json)
        sys.exit(0 if holds else 1)
    if plot is not None:
        tell(*drawn(what, plot, scale), as_json)
        return
    if given("scale"):
        raise IllFormed("--scale is for --plot, which is not given")
    value, text = at(what, data, recipe if given("recipe") else None, dialect, picture(mean, deviation, crop, data))
    tell(value, text, as_json)
