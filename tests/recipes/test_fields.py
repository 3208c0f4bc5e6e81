"""What a recipe says of calibrators, schemes and searched grids: what is refused, and what reaches the program."""
from dataclasses import fields, replace
from functools import cache

import digits
import numpy as np
import pytest

from refq import dialects, embedded, quantizers, recipes
from refq.errors import IllFormed
from refq.graph.describe import program_hash
from refq.graph.evaluate import evaluate
from refq.graph.groups import Groups
from refq.graph.quantize import quantize
from refq.grids import schemes
from refq.grids.affine import Affine
from refq.quantizers.base import Calibrator
from refq.recipes.base import Recipe

INT8 = recipes.load("int8")
RANGES = [name for name in quantizers.names() if issubclass(quantizers.named(name), Calibrator)]
GRIDS = ["adalog", "log2", "log_sqrt2", "sp2", "twin"]
ONE_SIDED = {"aciq_one_sided"}
"""Calibrators that take everything below 0 for a tail: not for a whole network."""


def mine(**changes):
    return replace(INT8, name="mine", **changes)


@cache
def data():
    """Calibration images and test images, and the classes that float gives to these."""
    images = embedded.as_input(embedded.images()[:100])
    (logits,) = evaluate(digits.network(), images.astype(np.float64)).values()
    return digits.calibration(12), images, logits.argmax(-1)


def agreeing(program):
    """The share of test images of which a program gives the class that float gives."""
    _, images, classes = data()
    (logits,) = program.run(program.encode(images)).values()
    return (logits.argmax(-1) == classes).mean()


@cache
def program(dialect="tosa", **changes):
    return quantize(digits.network(), data()[0], mine(**changes), dialect)


@pytest.mark.parametrize("name", [n for n in RANGES if n not in ONE_SIDED])
def test_every_calibrator_serves_a_network(name):
    """The embedded network keeps its classes with every way of finding ranges."""
    assert agreeing(program(calibrator=name)) >= 0.95


@pytest.mark.parametrize("name", GRIDS)
def test_a_searched_grid_serves_attention(name):
    """Probabilities of 4 bits on the grid that its quantizer chooses, which is the one in the program."""
    made = program(probabilities_grid=name, searched=True, probabilities=4)
    assert agreeing(made) >= 0.95
    groups = Groups(digits.network())
    group = next(g for g, role in groups.role.items() if role == "probabilities")
    seen = quantizers.load(name, bits=4)
    names = groups.seen[group]
    evaluate(digits.network(), data()[0], watch=lambda tensor, values: seen.see(values) if tensor in names else None)
    assert made.tensors[names[0]].grid.same(seen.grid())
    plain = program(probabilities_grid=name, probabilities=4).tensors[names[0]].grid
    assert seen.error(seen.grid()) <= seen.error(plain) * 1.002


def weight_errors(made):
    """Layer to the squared error of its weights."""
    found = {}
    for node in digits.network().nodes:
        if node.op == "Linear":
            weight, tensor = digits.network().constants[node.inputs[1]], made.tensors[f"{node.name}.w"]
            found[node.name] = ((tensor.grid.decode(made.constants[f"{node.name}.w"]) - weight) ** 2).mean()
    return found


def test_mse_weights_err_least():
    """At 4 bits a channel, no layer's weights err more than with min-max, and most err less; the network keeps its classes."""
    plain, best = (program(weights=4, edges=4, weights_calibrator=name) for name in ("minmax", "mse"))
    plain_errors, errors = weight_errors(plain), weight_errors(best)
    assert len(errors) > 10 and all(errors[n] <= plain_errors[n] for n in errors)
    assert sum(errors.values()) < 0.95 * sum(plain_errors.values())
    assert agreeing(best) >= agreeing(plain) - 0.02


def test_one_scale_for_all_channels():
    """granularity tensor: the grid of each layer's weights has one scale, which is the largest of those per channel."""
    whole, channels = program(granularity="tensor"), program()
    for node in digits.network().nodes:
        if node.op == "Linear":
            one, many = (made.tensors[f"{node.name}.w"].grid for made in (whole, channels))
            assert one.scale.shape == () and one.axis is None and one.scale == many.scale.max()
    assert agreeing(whole) >= 0.95


@pytest.mark.parametrize("dialect", ("tosa", "dpu", "fqvit"))
def test_one_scale_for_a_group_of_inputs(dialect):
    """granularity 16: every linear layer is a matmul_groups, whose codes are those of the grid of each group; kernel == spec."""
    made = program(dialect=dialect, granularity=16)
    steps = {step.name: step for step in made.steps}
    for node in digits.network().nodes:
        if node.op == "Linear":
            step, w = steps[node.name], digits.network().constants[node.inputs[1]]
            grid = made.tensors[step.inputs["w"]].grid
            assert step.op == "matmul_groups" and grid.block == 16 and grid.scale.shape == (len(w), w.shape[1] // 16)
            assert (grid.encode(w, dialects.load(dialect).encode_weights or dialects.load(dialect).encode)
                    == made.constants[step.inputs["w"]]).all()
    assert agreeing(made) >= 0.95
    codes = made.encode(data()[0][:1])
    assert all((made.run(codes)[n] == made.run(codes, engine="spec")[n]).all() for n in made.outputs)


def test_groups_divide_the_inputs():
    """A size that does not divide a layer's inputs is refused with the layer, the recipe and both numbers."""
    with pytest.raises(IllFormed, match="weights of node .*recipe mine: .*blocks of 7 do not divide the 64 values"):
        program(granularity=7)


@pytest.mark.parametrize("name", schemes.names())
def test_schemes_reach_the_program(name):
    """Activations of 8 bits and weights lie on grids of the scheme; zero points only at the bits of the dialect."""
    if not schemes.unshifted(name, 8):
        made = program(scheme=name)
        assert {int(t.grid.zero) for t in made.tensors.values() if t.role == "activation" and t.width.bits == 8} - {0}
    else:
        made = program(scheme=name, wide_scheme=name, weights_scheme=name)
        grids = [t.grid for t in made.tensors.values() if isinstance(t.grid, Affine) and t.role != "accumulator"]
        assert not any(g.zero.any() for g in grids)
        if schemes.powers(name, 8):
            scales = [t.grid.scale for n, t in made.tensors.items() if t.role == "activation" and isinstance(t.grid, Affine)
                      or n.endswith(".w")]
            assert len(scales) > 50 and all((np.frexp(scale)[0] == 0.5).all() for scale in scales)
    assert agreeing(made) >= 0.95


def test_fields_that_are_silent_change_nothing():
    """A recipe of before says the same program."""
    old = {f.name: getattr(INT8, f.name) for f in fields(Recipe)[:16]}
    assert Recipe(**old) == INT8
    again = quantize(digits.network(), data()[0], replace(Recipe(**old), name="mine"), "tosa")
    assert program_hash(program()) == program_hash(again)


@pytest.mark.parametrize("changes, said", [
    ({"scheme": "asymetric"}, "scheme is 'asymetric'.*asymmetric"), ({"wide_scheme": 3}, "wide_scheme is 3"),
    ({"calibrator": "median"}, "calibrator is 'median'"), ({"calibrator": "twin"}, "calibrator is 'twin'"),
    ({"wide": "minifloat"}, "wide is 'minifloat'"),
    ({"wide": "x"}, "wide is 'x'"), ({"weights_calibrator": "adalog"}, "weights_calibrator is 'adalog'"),
    ({"weights_scheme": "asymmetric"}, "zero points, which weights do not have"),
    ({"granularity": "row"}, "granularity is 'row'"),
    ({"granularity": 0}, "granularity is 0"), ({"granularity": True}, "granularity is True"),
    ({"searched": True}, "searched is True with probabilities on a grid of kind affine"),
    ({"searched": 1, "probabilities_grid": "twin"}, "searched is 1"),
    ({"calibrator_options": (("percentile", 0),)}, "recipe mine: .*percentile"),
    ({"calibrator_options": (("percentile", 100.5),)}, "recipe mine: .*percentile"),
    ({"calibrator_options": (("share", 1),)}, "recipe mine: calibrator percentile: it has no 'share'"),
    ({"calibrator_options": (("bits", 4),)}, "calibrator_options has 'bits'"),
    ({"calibrator_options": {"percentile": 9}}, "it holds pairs"),
])
def test_values_that_a_field_cannot_have(changes, said):
    """Refused when the recipe is written, naming it and the field."""
    with pytest.raises(IllFormed, match=said) as refused:
        mine(**changes)
    assert "recipe mine" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("changes, dialect, said", [
    ({"scheme": "asymmetric"}, "ivit", "asks for scheme asymmetric, whose grids have zero points, which dialect ivit forbids"),
    ({"wide_scheme": "glow_asymmetric"}, "tosa", "asks for wide_scheme glow_asymmetric, .* dialect tosa forbids at 16 bits"),
    ({"scheme": "symmetric"}, "dpu", "asks for scheme symmetric, whose scales are any numbers, of which dialect dpu"),
    ({"weights_scheme": "symmetric"}, "dpu", "asks for weights_scheme symmetric, whose scales are any numbers, .* dialect dpu"),
])
def test_what_a_dialect_forbids_is_refused_by_name(changes, dialect, said):
    """A sentence that names the recipe, the field and the dialect."""
    with pytest.raises(IllFormed, match=f"recipe mine {said}"):
        quantize(digits.network(), data()[0], mine(**changes), dialect)


def test_a_calibrator_takes_its_options():
    """A tighter percentile gives no wider grid, and one that is narrower somewhere."""
    loose, tight = program(), program(calibrator_options=(("percentile", 98.0),))
    pairs = [(loose.tensors[n].grid.scale, t.grid.scale) for n, t in tight.tensors.items() if t.role == "activation"
             and t.width.bits == 8 and isinstance(t.grid, Affine)]
    assert all(b <= a for a, b in pairs) and any(b < 0.9 * a for a, b in pairs)


def test_powers_of_two_under_a_dialect_of_them():
    """What the shifters hold is taken; the scheme decides where the range ends, exactly."""
    made = program("dpu", scheme="power_of_two_ceil", weights_scheme="power_of_two_nearest")
    assert dialects.load("dpu").scales == "pow2" and agreeing(made) >= 0.9
