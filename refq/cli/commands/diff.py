"""refq diff: how two dialects differ."""
import click

from refq.cli.frame import json_option, tell


@click.command("diff")
@click.argument("left")
@click.argument("right")
@json_option
def command(left, right, as_json):
    """Say how two dialects differ, with an input that shows it.

    Every field that differs, the simplest input found on which it shows, and how often it does on random data. LEFT and RIGHT
    are dialects by name, or .toml files. Every role is played under both from the same real scales; a field of a row is
    changed alone in LEFT's.
    """
    from dataclasses import asdict

    from refq import dialects
    from refq.view.differences import differences
    from refq.view.differences.lines import text
    a, b = dialects.load(left), dialects.load(right)
    found = differences(a, b)
    tell({"left": a.name, "right": b.name, "differences": [asdict(d) for d in found]}, text(a, b, found), as_json)
