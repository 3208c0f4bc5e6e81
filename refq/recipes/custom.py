"""A recipe from a TOML file: any base, and the fields in which it differs.

    name = "mine"                    # optional; the file's name otherwise
    base = "int8"
    weights = 4                      # any field of a recipe; `refq show int8` lists them with their values
    weights_calibrator = "mse"
    calibrator = "percentile"
    probabilities_grid = "adalog"
    searched = true

    [calibrator_options]             # what the calibrator takes
    percentile = 99.999

    [layers]                         # patterns on names of layers = bits of the weights; the first that matches counts
    "blocks.0.*" = 8

What is no field, and values that a field cannot have, are refused with a sentence that names the file and the field.
"""
from dataclasses import fields, replace

from refq import recipes, toml
from refq.errors import IllFormed, nearest
from refq.recipes.base import Recipe

TABLES = ("layers", "calibrator_options")


def load(path):
    """The recipe that the file describes; raises IllFormed naming the file and the field."""
    text = toml.read(path, "recipe", recipes.names())
    base = text.pop("base", None)
    if base not in recipes.names():
        said = "is missing; it is" if base is None else f"is {base!r}; it is"
        raise IllFormed(f"{path}: base {said} one of {', '.join(recipes.names())}")
    base = recipes.load(base)
    changes = {"name": path.stem, "title": f"{path.stem}, after {base.name}", "source": str(path)}
    try:
        for key, value in text.items():
            changes[key] = taken(key, value, base)
        if changes["name"] in recipes.names():
            raise IllFormed(f"field 'name' is {changes['name']!r}, which is refq's own recipe; give yours another name")
        if "calibrator" in changes and changes["calibrator"] != base.calibrator:
            changes.setdefault("calibrator_options", ())        # those of another calibrator
        return replace(base, **changes)
    except IllFormed as e:
        raise IllFormed(f"{path}: {e}") from None


def taken(key, value, base):
    """The value of a field, as a Recipe has it."""
    known = tuple(f.name for f in fields(Recipe))
    if key not in known:
        raise IllFormed(f"field {key!r} is not one of a recipe: {nearest(key, known)}")
    if key in TABLES:
        if not isinstance(value, dict):
            raise IllFormed(f"field {key!r} is {value!r}; write it as a table: [{key}], and a line for each below that")
        return tuple(value.items())
    default = getattr(base, key)
    kinds = (str, int) if key == "granularity" else (type(default),)
    if type(value) not in kinds:
        words = {str: "a text", int: "a whole number", bool: "true or false"}
        raise IllFormed(f"field {key!r} is {value!r}; it must be {' or '.join(words[kind] for kind in kinds)}")
    if key == "name" and (not value.strip() or not value.isprintable()):
        raise IllFormed(f"field 'name' is {value!r}; it must be one printable line")
    return value
