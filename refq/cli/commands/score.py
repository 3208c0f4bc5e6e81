"""refq score: which bugs would vectors let pass?"""
import sys

import click

from refq.cli.frame import Place, bar, json_option, tell


@click.command("score")
@click.argument("vectors", type=Place())
@click.option("--pack", type=Place(), help="Whose program the vectors are for, where they are no pack themselves.")
@json_option
def command(vectors, pack, as_json):
    """The mutation score of anybody's vectors: which bugs they would let pass unseen.

    VECTORS is a pack, or with --pack a dump that holds inputs: .npz, .npy in a folder, .safetensors, or an ONNX
    test_data_set. Exit status 0: every bug is seen or proved to be none; 1: some would pass unseen.
    """
    from refq.vectors.scoring.scored import score
    from refq.view.score import scored
    with bar(0, "scoring"):
        report = score(vectors, pack)
    tell(report, scored(report), as_json)
    sys.exit(0 if not report["survivors"] else 1)
