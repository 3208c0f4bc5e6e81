"""A recipe from a TOML file: what it can say, and what is refused with the file's name."""
from dataclasses import fields, replace

import pytest

from refq import recipes
from refq.errors import Corrupt, IllFormed
from refq.recipes.base import Recipe


def read(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return recipes.load(str(path))


def test_a_file_says_base_and_differences(tmp_path):
    """Every kind of field: words, numbers, truth, tables."""
    made = read(tmp_path, """
        base = "w4a8"
        calibrator = "percentile"
        weights_calibrator = "mse"
        granularity = "tensor"
        probabilities_grid = "adalog"
        searched = true
        activations = 8
        [calibrator_options]
        percentile = 99.9
        [layers]
        "blocks.0.*" = 8
        "*" = 5
        """)
    base = recipes.load("w4a8")
    assert made == replace(base, name="mine", title="mine, after w4a8", source=str(tmp_path / "mine.toml"),
                           weights_calibrator="mse", granularity="tensor", probabilities_grid="adalog", searched=True,
                           calibrator_options=(("percentile", 99.9),), layers=(("blocks.0.*", 8), ("*", 5)))


@pytest.mark.parametrize("name", recipes.names())
def test_a_file_may_say_all_that_a_recipe_holds(tmp_path, name):
    """Every field written out as it is: the same recipe but for its name."""
    base = recipes.load(name)
    plain = {f.name: getattr(base, f.name) for f in fields(Recipe) if f.name not in ("layers", "calibrator_options", "name")}
    lines = [f"{k} = {str(v).lower() if isinstance(v, bool) else v if isinstance(v, int) else repr(v)}" for k, v in plain.items()]
    made = read(tmp_path, "\n".join([f'base = "{name}"', 'name = "again"', *lines]))
    assert made == replace(base, name="again")


def test_options_do_not_outlive_their_calibrator(tmp_path):
    assert read(tmp_path, 'base = "int8"\ncalibrator = "minmax"').calibrator_options == ()


@pytest.mark.parametrize("text, said", [
    ("", "base is missing; it is one of"), ('base = "int9"', "base is 'int9'; it is one of"), ("base = 3", "base is 3"),
    ('base = "int8"\nwieghts = 4', "field 'wieghts' is not one of a recipe.*weights"),
    ('base = "int8"\nweights = "4"', "field 'weights' is '4'; it must be a whole number"),
    ('base = "int8"\nweights = true', "field 'weights' is True; it must be a whole number"),
    ('base = "int8"\nweights = 1', "weights is 1; it is a number of bits, 2 to 16"),
    ('base = "int8"\nsearched = 1', "it must be true or false"), ('base = "int8"\ncalibrator = 1', "it must be a text"),
    ('base = "int8"\ncalibrator = "x"', "calibrator is 'x'"), ('base = "int8"\nlayers = 3', r"write it as a table: \[layers\]"),
    ('base = "int8"\n[layers]\n"a" = 1', "layers 'a' is 1"), ('base = "int8"\nname = ""', "one printable line"),
    ('base = "int8"\nname = "w4a8"', "refq's own recipe"), ('base = "int8"\ngranularity = 1.5', "a text or a whole number"),
    ('base = "int8"\n[calibrator_options]\npercentile = 0', "percentile"),
    ('base = "int8"\n[calibrator_options]\npercentile = 100.1', "percentile"),
])
def test_what_is_wrong_is_said_with_the_file(tmp_path, text, said):
    """One sentence that names the file and the field."""
    with pytest.raises(IllFormed, match=said) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(str(tmp_path / "mine.toml")) and "\n" not in str(refused.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(IllFormed, match="no such file"):
        recipes.load(str(tmp_path / "no.toml"))
    with pytest.raises(Corrupt, match="not TOML"):
        read(tmp_path, "base = ")
    with pytest.raises(IllFormed, match="cannot be read|no such file"):
        (tmp_path / "folder.toml").mkdir()
        try:
            recipes.load(str(tmp_path / "folder.toml"))
        except Corrupt as e:
            raise IllFormed(str(e)) from None
