"""glossary: every field in which dialects and rows differ is explained, and nothing else."""
from dataclasses import fields

from refq import ops
from refq.dialects import custom
from refq.dialects.base import Dialect
from refq.ints.row import stated
from refq.recipes.base import Recipe
from refq.view.glossary import DIALECT, RECIPE, ROWS


def test_every_field_of_every_row_is_explained():
    said = {field for name in ops.names() for field in stated(ops.load(name).Row)}
    assert said <= set(ROWS), sorted(said - set(ROWS))


def test_no_field_is_explained_that_is_not():
    known = {f.name for name in ops.names() for f in fields(ops.load(name).Row)}
    assert set(ROWS) <= known, sorted(set(ROWS) - known)


def test_every_field_of_a_dialect_and_of_its_file_is_explained():
    said = {f.name for f in fields(Dialect)} - {"name", "title", "source", "date", "roles", "checks"}
    assert said | {"absent"} == set(DIALECT)
    assert set(custom.KNOWN) - set(DIALECT) == {"name", "base", "title", "source", "date"}


def test_every_field_of_a_recipe_is_explained():
    assert set(RECIPE) == {f.name for f in fields(Recipe)} - {"name", "title", "source"}
