"""refq rounding: the dictionary of roundings."""
import click

from refq.cli.frame import json_option, tell


@click.command("rounding")
@click.argument("name", required=False)
@json_option
def command(name, as_json):
    """Say what a rounding does to ties, and who calls it what.

    NAME is a word of refq's (half_up), a project's name (HALF_UP), or PROJECT:NAME (java:HALF_UP). Without one, all words.
    """
    from refq.view import roundings
    tell(*(roundings.named(name) if name else roundings.everything()), as_json)
