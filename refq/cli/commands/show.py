"""refq show: what a name means."""
import click

from refq.cli.frame import Place, given, json_option, picture, pictures, tell


@click.command("show")
@click.argument("what", required=False, type=Place())
@click.option("--data", type=Place(), help="Images to calibrate on: a float network is shown as the program it becomes.")
@click.option("--recipe", default="int8", show_default=True, help="Of a float network: int8, w8a16 or w4a8.")
@click.option("--dialect", default="tflite", show_default=True,
              help="A name (refq show lists them) or a .toml file of yours; of networks that come quantized too.")
@pictures
@json_option
def command(what, data, recipe, dialect, mean, deviation, crop, as_json):
    """Show a pack, a network, or what a name means.

    A network is an .onnx, .tflite or .safetensors file. Names are those of dialects, recipes,
    operations and roundings. A program is a table of steps; a dialect is its rows,
    sources and ties; an operation is its contract. Long names are cut in the tables, and whole with --json.
    Without WHAT, the names that refq knows.
    """
    from refq.cli.looking import at
    value, text = at(what, data, recipe if given("recipe") else None, dialect, picture(mean, deviation, crop, data))
    tell(value, text, as_json)
