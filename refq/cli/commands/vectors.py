"""refq vectors: inputs and constants that kill bugs."""
import click

from refq.cli.frame import Place, bar, json_option, tell
from refq.errors import IllFormed


def sizes(text):
    """n=16,k=64 as a dict."""
    found = {}
    for part in text.split(",") if text else ():
        axis, _, size = part.partition("=")
        if not axis.strip() or not size.strip().isdecimal() or int(size) < 1:
            raise IllFormed(f"--shape {text!r}: write AXIS=SIZE, joined by commas, such as n=16,k=64,m=32")
        found[axis.strip()] = int(size)
    return found


@click.command("vectors")
@click.argument("op")
@click.option("--dialect", default="tflite", show_default=True, help="A name (refq show lists them) or a .toml file of yours.")
@click.option("--shape", default="", help="Sizes of axes, such as n=16,k=64,m=32; default: many small ones.")
@click.option("--budget", default=16384, show_default=True, type=click.IntRange(1), help="Bytes of codes, results included.")
@click.option("--seed", default=0, show_default=True, help="Other vectors; the same seed gives the same ones, for ever.")
@click.option("--out", required=True, type=Place(), help="The pack's folder.")
@json_option
def command(op, dialect, shape, budget, seed, out, as_json):
    """Draw vectors that kill bugs, and record them as a golden pack with their mutation score.

    OP is an operation or a role of the dialect (rescale, gelu, add ...), several joined by + that a device runs as one
    (matmul+rescale), or a published row of an operation that no dialect has (matmul_packed:agile_quant_u4; refq show
    OPERATION lists them). Exit status 0, whatever the score.
    """
    from pathlib import Path

    from refq.vectors.draw import POOL, draw
    from refq.vectors.record import record, refuse_occupied
    from refq.view.events import lines
    from refq.view.score import drawn
    refuse_occupied(Path(out))
    with bar(POOL, "drawing") as shown:
        vectors = draw(op, dialect, sizes(shape), budget, seed, shown.update)
    pack = record(vectors.program, vectors.inputs, out, cases=vectors.cases, seed=seed, about=vectors.about)
    report = {"pack": str(out), "pack_hash": pack.hash, **vectors.about["vectors"], "events": pack.events,
              "left_registers": lines(pack.manifest["events"]), "mutation_score": vectors.about["mutation_score"]}
    tell(report, drawn(report), as_json)
