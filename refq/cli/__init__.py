"""The command line: parses, calls, prints. Exit status 0 pass, 1 mismatch, 2 cannot run (one sentence on stderr), 130
interrupted."""
import json
import os
import sys
from contextlib import suppress
from math import isfinite
from pathlib import Path

import click

from refq import __version__
from refq.errors import IllFormed, RefqError


class Sentences(click.Group):
    """Every refusal is one sentence and status 2; no traceback for a user's mistake."""

    def main(self, *args, **options):
        try:
            return super().main(*args, **options)
        except OSError as e:                        # click keeps quiet of a closed pipe; a full disk comes here
            with suppress(OSError, AttributeError):     # what is left in the buffer must not fail again on the way out
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            what = "standard output cannot be written" if e.filename is None else e.filename
            with suppress(OSError):
                click.echo(f"refq: {what}: {e.strerror or e}", err=True)
            sys.exit(2)

    def invoke(self, context):
        try:
            return super().invoke(context)
        except RefqError as e:
            click.echo(f"refq: {e}", err=True)
            context.exit(2)
        except MemoryError:
            click.echo("refq: not enough memory; run fewer images at once", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            click.echo("refq: interrupted", err=True)
            context.exit(130)


class Place(click.Path):
    """A path; the empty one, which a shell makes of a variable that is not set, is refused."""

    def convert(self, value, param, context):
        if not os.fspath(value):
            raise IllFormed(f"{param.opts[0] if isinstance(param, click.Option) else param.human_readable_name}: is empty; "
                            f"give a path or leave it out")
        return super().convert(value, param, context)


def bar(length, label):
    """A progress bar on a terminal; nothing in a pipe, and nothing where there is nothing to do."""
    return click.progressbar(length=length, label=f"{label:12s}", file=sys.stderr, hidden=not (length and sys.stderr.isatty()))


def tell(value, text, as_json):
    click.echo(json.dumps(value, indent=1) if as_json else text)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of text.")
picture_options = [
    click.option("--mean", default=0.5, show_default=True,
                 help="Pictures only: pixels in 0..1 become (pixel - mean) / deviation."),
    click.option("--deviation", default=0.5, show_default=True, help="Pictures only: see --mean; above 0."),
    click.option("--crop", default=0.9, show_default=True, help="Pictures only: the share of the short side that is kept."),
]


def given(*names):
    """Those of the options that the command line names, as it names them; a default is not given."""
    source = click.get_current_context().get_parameter_source
    return [f"--{name}" for name in names if source(name) is not click.core.ParameterSource.DEFAULT]


def picture(mean, deviation, crop, *paths):
    """How pictures are prepared; raises IllFormed for numbers that no picture can be prepared by, and for options that
    the images at `paths` (or None) have no use for."""
    if not isfinite(mean):
        raise IllFormed(f"--mean {mean}: give a finite number")
    if not (isfinite(deviation) and deviation > 0):
        raise IllFormed(f"--deviation {deviation}: give a number above 0")
    if not 0.1 <= crop <= 1:
        raise IllFormed(f"--crop {crop}: give a share from 0.1 to 1")
    from refq.load.images import without_pictures
    if (asked := given("mean", "deviation", "crop")) and all(without_pictures(p) for p in paths if p):
        raise IllFormed(f"{' and '.join(asked)}: for a folder of pictures, and there is none; leave it out")
    return {"mean": mean, "deviation": deviation, "crop": crop}


def pictures(command):
    for option in reversed(picture_options):
        command = option(command)
    return command


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main():
    """What an integer neural network computes, to the bit; and whether your hardware does the same."""


@main.command("golden")
@click.argument("model", required=False, type=Place())
@click.option("--data", type=Place(), help="Images: .npy, .npz, a folder of .npy, or a folder of pictures.")
@click.option("--labels", type=Place(), help="The class of each image (.npy): accuracy is reported.")
@click.option("--calibrate", type=Place(), help="Other images to calibrate on; default: those of --data.")
@click.option("--recipe", default="int8", show_default=True, help="int8, w8a16 or w4a8.")
@click.option("--dialect", default="tflite", show_default=True, help="tflite, tosa, onnx, ivit, or a .toml file of yours.")
@click.option("--out", type=Place(), help="The pack's folder; default: named after model, recipe and dialect.")
@click.option("--cases", default=16, show_default=True, help="How many images the pack records, every tensor of them.")
@click.option("--seed", default=0, show_default=True, help="Decides which images are recorded.")
@pictures
@json_option
def golden_command(model, data, labels, calibrate, recipe, dialect, out, cases, seed, mean, deviation, crop, as_json):
    """Quantize a network, run it in integers, and record a golden pack.

    MODEL is an .onnx or .safetensors file; without it, the embedded network of handwritten digits is taken, with its own
    images.
    """
    from refq.cli.golden import golden
    from refq.view import summary
    how = picture(mean, deviation, crop, data, calibrate)
    report = golden(model, data, labels, calibrate, recipe, dialect, out, cases, seed, how, bar)
    if given("cases") and cases > report["cases"]:
        report["notes"].append(f"{cases} cases were asked for; there are no more images than the {report['cases']} recorded")
    tell(report, summary.golden(report), as_json)


@main.command("run")
@click.argument("model", type=Place())
@click.option("--input", "data", required=True, type=Place(), help="Images: .npy, .npz or a folder.")
@click.option("--out", type=Place(), help="Write the output's codes to this .npy file.")
@click.option("--recipe", default="int8", show_default=True,
              help="Of a float network: int8, w8a16 or w4a8; it is calibrated on the images.")
@click.option("--dialect", default="tflite", show_default=True,
              help="Of a float network: tflite, tosa, onnx, ivit, or a .toml file of yours.")
@click.option("--engine", default="kernel", show_default=True, type=click.Choice(["kernel", "spec"]),
              help="kernel: compiled and fast; spec: the formula itself, in NumPy.")
@pictures
@json_option
def run_command(model, data, out, recipe, dialect, engine, mean, deviation, crop, as_json):
    """Run a network or a pack's program, in integers, on images.

    MODEL is a pack, an .onnx or a .safetensors file. A pack takes images, or codes of its input's own dtype.
    """
    from refq.cli.running import run
    from refq.view import summary
    if (asked := given("recipe", "dialect")) and (Path(model) / "manifest.json").exists():
        raise IllFormed(f"{' and '.join(asked)}: {model} is a pack, which has its own; leave it out")
    report = run(model, data, out, recipe, dialect, engine, picture(mean, deviation, crop, data))
    tell(report, summary.run(report), as_json)


@main.command("verify")
@click.argument("pack", type=Place())
@click.option("--against", type=Place(), help="What the device dumped: a folder of .npy, an .npz or a .safetensors.")
@click.option("--kernel", type=Place(), help="A kernel.toml: run the device's own code on the pack's inputs.")
@click.option("--require", default="any", show_default=True, type=click.Choice(["any", "all"]),
              help="all: refuse a dump that lacks a tensor.")
@click.option("--tolerance", default=0, show_default=True, help="Count differences of up to so many codes as right.")
@json_option
def verify_command(pack, against, kernel, require, tolerance, as_json):
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


@main.command("show")
@click.argument("what", required=False, type=Place())
@click.option("--data", type=Place(), help="Images to calibrate on: a float network is shown as the program it becomes.")
@click.option("--recipe", default="int8", show_default=True, help="Of a float network: int8, w8a16 or w4a8.")
@click.option("--dialect", default="tflite", show_default=True,
              help="Of a float network: tflite, tosa, onnx, ivit, or a .toml file of yours.")
@pictures
@json_option
def show_command(what, data, recipe, dialect, mean, deviation, crop, as_json):
    """Show a pack, a network, or what a name means.

    Names are those of dialects, recipes, operations and roundings. A program is a table of steps; a dialect is its rows,
    sources and ties; an operation is its contract. Without WHAT, the names that refq knows.
    """
    from refq.cli.looking import at
    value, text = at(what, data, recipe, dialect, picture(mean, deviation, crop, data))
    tell(value, text, as_json)
