"""Templates: texts of generated sources, in the folder templates/; `@name@` is where a value goes."""
import re
from importlib.resources import files

PLACE = re.compile(r"@(\w+)@")


def filled(template, **values):
    """The text of a template with its places filled in; raises KeyError for one without a value."""
    text = (files("refq.vectors.exchange") / "templates" / f"{template}.in").read_text(encoding="utf-8")
    return PLACE.sub(lambda found: str(values[found[1]]), text)
