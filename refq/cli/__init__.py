"""The command line: parses, calls, prints. Exit status 0 pass, 1 mismatch, 2 cannot run (one sentence on stderr), 130
interrupted."""
from importlib import import_module
from pkgutil import iter_modules

import click

from refq import __version__
from refq.cli import commands
from refq.cli.frame import Sentences

ORDER = ("golden", "prune", "show", "diff", "rounding", "run", "verify", "explain", "vectors", "score", "shrink", "bisect",
         "prove", "bounds", "export", "import")


class Verbs(Sentences):
    """The verbs of the folder commands/, loaded when they are asked for; in the order in which a newcomer meets them."""

    def list_commands(self, context):
        found = {m.name.rstrip("_") for m in iter_modules(commands.__path__)}
        return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))

    def get_command(self, context, name):
        if name not in self.list_commands(context):
            return None
        return import_module(f"{commands.__name__}.{name + '_' * (name == 'import')}").command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main():
    """What an integer neural network computes, to the bit; and whether your hardware does the same."""
