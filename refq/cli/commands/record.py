"""refq record: partial sums beside a pack."""
from pathlib import Path

import click

from refq.cli.frame import Place, bar, json_option, tell


@click.command("record")
@click.argument("pack", type=Place())
@click.option("--watch", "watched", multiple=True, required=True, metavar="STEP:acc@k=32",
              help="The accumulator of a step, after each tile of so many products; may be given again.")
@click.option("--out", type=Place(), help="Where to; default: the folder partials in the pack, whose hash stays as it is.")
@json_option
def command(pack, watched, out, as_json):
    """Record the partial sums of a pack's steps, tile by tile, for devices that show their accumulator between tiles.

    `refq verify PACK --against DUMP` compares arrays of the same names (STEP.acc@k=32) and names the first wrong tile. A network
    is recorded by `refq golden` first.
    """
    from refq.vectors.pack import read
    from refq.vectors.watch import record_partials
    read_pack = read(pack)
    with bar(read_pack.cases, "recording") as shown:
        words = record_partials(read_pack, watched, Path(out) if out else None, lambda done: shown.update(1))
    lines = [f"{w['name']}   {w['shape'][0]} tiles of {w['tile']} products ({w['products']} in all), joined {w['order']}, "
             f"{w['width']}" for w in words["watched"]]
    tell(words, "\n".join([*lines, f"{read_pack.cases} cases written to {words['folder']}"]), as_json)
