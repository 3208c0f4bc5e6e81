"""refq explain: how one element came about."""
import sys

import click

from refq.cli.frame import Place, json_option, tell


@click.command("explain")
@click.argument("pack", type=Place())
@click.argument("place")
@click.option("--case", default=0, show_default=True, help="Which case of the pack.")
@click.option("--back", type=click.IntRange(0), help="So many steps before it too; default: those that lead from codes to it.")
@click.option("--html", type=Place(), help="Write a page that opens offline and prints well to this file.")
@json_option
def command(pack, place, case, back, html, as_json):
    """Show how one element of a pack came about: every product, sum, rounding, tie and saturation, as integers.

    PLACE is STEP[i,j] or TENSOR[i,j], an index into what that step gives for one case; a shell wants it in quotes. The
    element is computed anew; exit status 1: the pack holds something else.
    """
    from refq.view.explain import explain
    from refq.view.explain_lines import text
    explanation = explain(pack, place, case, back)
    if html:
        from refq.view.explain_html import write
        write(explanation, html)
    tell(explanation.json(), text(explanation) + (f"\nwritten to {html}" if html else ""), as_json)
    sys.exit(0 if explanation.agrees else 1)
