"""refq verify: a device against a pack."""
import sys

import click

from refq.cli.frame import Place, given, json_option, tell
from refq.errors import IllFormed


@click.command("verify")
@click.argument("pack", type=Place())
@click.option("--against", type=Place(), help="What the device dumped: a folder of .npy, an .npz or a .safetensors.")
@click.option("--kernel", type=Place(), help="A kernel.toml: run the device's own code on the pack's inputs.")
@click.option("--require", default="any", show_default=True, type=click.Choice(["any", "all"]),
              help="all: refuse a dump that lacks a tensor.")
@click.option("--tolerance", default=0, show_default=True, help="Count differences of up to so many codes as right.")
@json_option
def command(pack, against, kernel, require, tolerance, as_json):
    """Compare a device's tensors or its kernel with a pack, exactly.

    Exit status 0: pass; 1: something differs. With neither --against nor --kernel, the pack itself is checked: its
    manifest, every hash, and every case run anew.
    """
    if against and kernel:
        raise IllFormed("--against and --kernel ask two questions; ask one at a time")
    if not (against or kernel) and (asked := given("require", "tolerance")):
        raise IllFormed(f"{' and '.join(asked)}: without --against or --kernel a pack is checked exactly; leave it out")
    if kernel and given("require"):
        raise IllFormed("--require: for a dump (--against); a kernel is asked for every tensor of its step; leave it out")
    if kernel:
        from refq.vectors.kernel import verify_kernel
        report = verify_kernel(pack, kernel, tolerance)
    else:
        from refq.vectors.verify import verify, verify_itself
        report = verify(pack, against, require, tolerance) if against else verify_itself(pack)
    tell(report.json(), str(report), as_json)
    sys.exit(0 if report.passed else 1)
