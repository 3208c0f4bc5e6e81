"""refq import: what a device wrote in the shape of an export, as a dump; or its checksums, compared."""
import sys

import click

from refq.cli.frame import Place, json_option, tell
from refq.errors import IllFormed


@click.command("import")
@click.argument("folder", type=Place())
@click.option("--pack", required=True, type=Place(), help="The pack that was exported.")
@click.option("--out", type=Place(), help="The dump to write, an .npz for `refq verify PACK --against`.")
@click.option("--index", type=Place(), help="The export's index.json, where it does not lie in FOLDER.")
@json_option
def command(folder, pack, out, index, as_json):
    """Read the files that a device wrote in an export's formats into one dump.

    FOLDER is what `refq export` wrote, with the results replaced by the device's; or a checksums.txt that a device
    printed, which is compared with the pack at once (exit status 1: something differs).
    """
    if str(folder).endswith(".txt"):
        from refq.vectors.exchange import checksum
        if out or index:
            raise IllFormed("--out and --index: checksums are compared, not imported; leave them out")
        report = checksum.compare(pack, folder)
        tell(report.json(), str(report), as_json)
        sys.exit(0 if report.passed else 1)
    if not out:
        raise IllFormed("--out: name the .npz that the dump is written to")
    from refq.vectors.exchange.imported import import_
    report = import_(folder, pack, out, index)[1]
    unknown = f"\nunknown   {report['unknown']} codes with x or z; verify counts them as wrong" if report["unknown"] else ""
    same = (f"\nsame      {report['as_exported']} files are byte for byte those that were exported"
            if report["as_exported"] else "")
    tell(report, f"{report['tensors']} tensors of {report['files']} files: {report['out']}{same}{unknown}", as_json)
