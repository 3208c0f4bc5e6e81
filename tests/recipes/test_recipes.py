"""Recipes: what they say about bits, which dialects admit them, and how a wrong name is answered."""
from dataclasses import replace

import digits
import pytest

from refq import dialects, embedded, quantizers, recipes
from refq.errors import IllFormed
from refq.graph.lower import lower
from refq.recipes.base import Recipe

ROLES = ("input", "activations", "stream", "logits", "gelu", "probabilities", "output")


def test_all_three_are_there():
    """A loop over no recipes proves nothing."""
    assert set(recipes.names()) >= {"int8", "w4a8", "w8a16"}


@pytest.mark.parametrize("name", recipes.names())
def test_says_what_it_is(name):
    """Name, title, source, bits for every role, and calibrators that exist."""
    recipe = recipes.load(name)
    assert recipe.name == name and recipe.title and recipe.source
    assert all(recipe.bits(role) in (8, 16) and recipe.calibrator_of(role) in quantizers.names() for role in ROLES)


def test_bits_of_the_three():
    """The first and last layer of w4a8 keep 8 bits; the residual stream has 16 everywhere; w8a16 is 16 wide."""
    int8, w4a8, w8a16 = map(recipes.load, ("int8", "w4a8", "w8a16"))
    assert (int8.weight_bits("a", False), w4a8.weight_bits("a", False), w4a8.weight_bits("a", True)) == (8, 4, 8)
    assert {r.bits("stream") for r in (int8, w4a8, w8a16)} == {16}
    assert {w8a16.bits(role) for role in ROLES} == {16} and int8.bits("input") == int8.bits("logits") == 8


def test_wide_ranges_are_not_cut():
    """A role of more than 8 bits is calibrated from smallest to largest."""
    int8 = recipes.load("int8")
    assert int8.calibrator_of("activations") == "percentile" and int8.calibrator_of("stream") == "minmax"


def test_the_first_pattern_counts():
    """Globs on layer names, in order; the edges' bits only where none matches; case matters."""
    recipe = replace(recipes.load("w4a8"), layers=(("blocks.1.*", 8), ("blocks.*.fc[12]", 5), ("*head", 6)))
    assert recipe.weight_bits("blocks.1.mlp.fc1", False) == 8
    assert recipe.weight_bits("blocks.2.mlp.fc1", False) == 5
    assert recipe.weight_bits("blocks.2.attn.qkv", False) == 4
    assert recipe.weight_bits("head", True) == 6
    assert recipe.weight_bits("Head", True) == 8


def test_layers_reach_the_program():
    """A pattern changes the width of exactly the weights that it names."""
    recipe = replace(recipes.load("int8"), layers=(("blocks.*.mlp.fc2", 4),))
    dialect = dialects.load("tosa")
    program = lower(digits.network(), embedded.grids("int8", dialect.asymmetric), recipe, dialect)
    widths = {name: t.width.bits for name, t in program.tensors.items() if t.role == "weight" and name.endswith(".w")}
    assert {n for n, bits in widths.items() if bits == 4} == {f"blocks.{i}.mlp.fc2.w" for i in range(4)}
    assert {bits for n, bits in widths.items() if not n.endswith("fc2.w")} == {8}


@pytest.mark.parametrize("word, said", [("int9", "did you mean int8"), ("w4a4", "did you mean w4a8"), ("xyz", "there are"),
                                        ("base", "there are"), ("", "there are")])
def test_unknown_names(word, said):
    """A recipe that is not known is refused with the nearest, or all."""
    with pytest.raises(IllFormed, match=said) as refused:
        recipes.load(word)
    assert repr(word) in str(refused.value)


FORBIDDEN = [
    (Recipe("mine", "", "", weights=3), {}, "weights of 3 bits"),
    (Recipe("mine", "", "", edges=16), {}, "weights of 16 bits"),
    (Recipe("mine", "", "", layers=(("head", 2),)), {}, "weights of 2 bits"),
    (recipes.load("w4a8"), {"weights": (8,)}, "weights of 4 bits"),
    (recipes.load("int8"), {"activations": (8,)}, "activations of 16 bits"),
    (recipes.load("w8a16"), {"activations": (8,)}, "activations of 16 bits"),
]
FORBIDDEN += [(Recipe("mine", "", "", **{role: 5}), {}, "activations of 5 bits") for role in ROLES if role != "input"]


@pytest.mark.parametrize("recipe, changes, said", FORBIDDEN)
def test_what_a_dialect_forbids(recipe, changes, said):
    """The sentence names the recipe, the dialect, what is asked and what is allowed."""
    dialect = replace(dialects.load("tosa"), **changes)
    with pytest.raises(IllFormed, match=f"recipe {recipe.name} asks for {said}, which dialect tosa forbids; it allows"):
        recipe.admit(dialect)


@pytest.mark.parametrize("name", digits.SPINE)
@pytest.mark.parametrize("recipe", recipes.names())
def test_dialects_admit_them(name, recipe):
    """Every recipe runs under every dialect."""
    assert recipes.load(recipe).admit(dialects.load(name)) is None
