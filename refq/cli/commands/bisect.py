"""refq bisect: the first step that is wrong by itself."""
import sys

import click

from refq.cli.frame import Place, json_option, tell
from refq.errors import IllFormed


@click.command("bisect")
@click.argument("pack", type=Place())
@click.option("--python", "function", metavar="MODULE:FUNCTION",
              help="device(feed, want): tensor to codes (cases, ...) in, those of `want` out.")
@click.option("--command", "line", metavar="COMMAND",
              help="Called with a folder: feed/*.npy and want.txt in it, shown/*.npy to write; status 3: cannot start there.")
@click.option("--from", "begin", default="anywhere", show_default=True, type=click.Choice(["anywhere", "inputs"]),
              help="inputs: the device only runs from the inputs of the network.")
@json_option
def command(pack, function, line, begin, as_json):
    """Find the steps that a device does wrong on true inputs, in about log2(steps) calls each.

    For a device that can be fed a tensor in the middle, or can run up to one. Exit status 0: the outputs are right; 1: the
    steps that are wrong on their own are named, and all other differences only propagate.
    """
    if bool(function) == bool(line):
        raise IllFormed("give the device as --python MODULE:FUNCTION or as --command COMMAND, one of both")
    from refq.vectors import bisected
    from refq.vectors.bisect import bisect
    device = bisected.function(function) if function else bisected.command(line)
    found = bisect(pack, device, function or line, begin == "anywhere")
    tell(found.json(), str(found), as_json)
    sys.exit(0 if found.passed else 1)
