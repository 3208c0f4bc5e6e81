"""The frame of every command: refusals as one sentence, places, progress bars, and options that several commands share."""
import json
import os
import sys
from contextlib import suppress
from math import isfinite
from shutil import get_terminal_size

import click

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
        except click.UsageError as e:
            said, where = e.format_message().rstrip("."), e.ctx.command_path if e.ctx else "refq"
            click.echo(f"refq: {said[0].lower()}{said[1:]}; {where} --help tells more", err=True)
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


def columns():
    """The columns of the terminal that is written to; None in a pipe, where texts stay as wide as they are."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


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
