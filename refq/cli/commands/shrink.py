"""refq shrink: the smallest failing case."""
import click

from refq.cli.frame import Place, bar, json_option, tell
from refq.errors import IllFormed


@click.command("shrink")
@click.argument("pack", type=Place())
@click.option("--kernel", type=Place(), help="A kernel.toml: the kernel is asked again until nothing more can be left out.")
@click.option("--against", type=Place(), help="What the device dumped: what its first wrong element is made of remains.")
@click.option("--out", required=True, type=Place(), help="The folder for the small pack.")
@json_option
def command(pack, kernel, against, out, as_json):
    """Make a failing case small: fewer rows and channels, shorter sums, zeros and smaller codes.

    What remains is a pack of the one unit that is wrong, to be replayed by refq verify; shrunk.txt in it says how.
    """
    if bool(kernel) == bool(against):
        raise IllFormed("give what fails, by --kernel or by --against, one of them")
    from refq.vectors.shrinking import shrink
    from refq.vectors.shrinking.shrink_search import TRIES
    if kernel:
        with bar(TRIES, "shrinking") as shown:
            small = shrink.shrink_kernel(pack, kernel, out, lambda done: shown.update(1))
        replay = f"refq verify {out} --kernel {kernel}"
    else:
        small, replay = shrink.shrink_dump(pack, against, out), f"refq verify {out} --against {out}/dump.npz"
    asked = f" after {small.tries} tries" if small.tries else ""
    explain = f"refq explain {out} '{small.failure.tensor}{list(small.failure.place)}'".replace(", ", ",")
    tell(small.json(), f"{small.unit}\n{small.text}\nwritten to {out}{asked}\n\nnext: {replay}\n      {explain}", as_json)
