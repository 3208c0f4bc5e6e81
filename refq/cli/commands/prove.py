"""refq prove: every input there is."""
import sys

import click

from refq.cli.frame import Place, bar, given, json_option, tell
from refq.errors import IllFormed


def pairs(texts, option):
    """NAME=VALUE texts as a dict."""
    for text in texts:
        if not all(text.partition("=")):
            raise IllFormed(f"{option} {text!r}: write NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


@click.command("prove")
@click.argument("op")
@click.option("--dialect", default="tflite", show_default=True, help="A name (refq show lists them) or a .toml file of yours.")
@click.option("--kernel", type=Place(), help="A kernel.toml: prove the device's kernel instead of refq's own.")
@click.option("--shape", multiple=True, metavar="AXIS=N", help="How many codes make one input: k=2, c=3. Repeatable.")
@click.option("--row", multiple=True, metavar="FIELD=WIDTH", help="Widths that tensors decide: x=i4, acc=i16. Repeatable.")
@click.option("--constants", multiple=True, metavar="SET",
              help='One set, such as "mult=1518500250 shift=38 zp=-3". Repeatable; default: several by construction.')
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 1024), help="Processes on this machine.")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler whose workers are taken instead, as tcp://host:8786.")
@json_option
def command(op, dialect, kernel, shape, row, constants, workers, scheduler, as_json):
    """Prove that a kernel equals its spec on the whole input domain.

    OP is an operation or a role of the dialect (rescale, gelu, add, matmul ...), or a published row of an operation that
    no dialect has (matmul_packed:agile_quant_u4). Exit status 0: proved; 1: the first input on which the two differ is
    shown. A domain of more than 2**32 inputs is refused with what is possible instead.
    """
    if scheduler is not None and given("workers"):
        raise IllFormed("--workers: of this machine; a scheduler (--scheduler) brings its own: leave one of both out")
    from refq.vectors.prove.prove import prove
    sizes = {}
    for axis, size in pairs(shape, "--shape").items():
        if not size.isdecimal():
            raise IllFormed(f"--shape {axis}={size}: the size is a number of codes")
        sizes[axis] = int(size)
    shown = bar(1, "proving")
    with shown:
        def progress(met, all_inputs):
            shown.length = all_inputs
            shown.update(met)
        proof = prove(op, dialect, sizes, pairs(row, "--row"), constants, kernel, workers, scheduler, progress)
    tell(proof.json(), str(proof), as_json)
    sys.exit(0 if proof.passed else 1)
