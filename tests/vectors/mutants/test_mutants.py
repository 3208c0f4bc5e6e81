"""Mutants of every operation: they differ from each other in name, say what they do, and leave their operands alone."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops.strategies import by_spec as plain
from ops.strategies import operands_of, rails, small, uniform
from vectors.mutants.steps import sized, steps_of

from refq import ops
from refq.errors import RefqError
from refq.vectors.diagnosis.place import by_kernel, by_spec
from refq.vectors.mutants import of_step
from refq.vectors.scoring.equivalent.codewise import OPS as LAYOUTS

IMPOSSIBLE = (RefqError, ValueError, OverflowError, ZeroDivisionError, IndexError, KeyError)
STEPS = steps_of()


def drawn(step, seed):
    draw = np.random.default_rng(seed)
    operands = operands_of(step.row, sized(step), draw, lambda: (uniform, rails, small)[draw.integers(3)])
    if "bias" in operands:
        operands["bias"] //= 1 << 12        # inside the register, with any products
    return operands


@pytest.mark.parametrize("step", STEPS, ids=[s.name for s in STEPS])
def test_names_and_phrases(step):
    """Names are unique, phrases are not empty, and every field with alternatives has its mutants."""
    mutants = of_step(step)
    assert len({m.name for m in mutants}) == len(mutants) > 10
    assert all(m.phrase and m.phrase == m.phrase.strip() and "{" not in m.phrase for m in mutants)
    listed = {slip.__name__ for slip in ops.load(step.op).slips}
    assert listed <= {m.name.removeprefix("slip ") for m in mutants if m.kind == "slip"}


@pytest.mark.parametrize("step", STEPS, ids=[s.name for s in STEPS])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_operands_are_left_alone(step, seed):
    """A mutant alters copies: the operands are what they were, and its results have the declared dtype and shape."""
    operands = drawn(step, seed)
    before = {k: np.copy(v) for k, v in operands.items()}
    right, made = by_spec(step.op, step.row)(operands), 0
    for mutant in of_step(step):
        if step.op in LAYOUTS and mutant.name.startswith(("slip tail_lost(", "slip tile_leaks(")):
            continue                        # lines of another length give results of another shape, which no place runs
        try:
            results = mutant.around(by_spec(step.op, step.row))(operands)
        except IMPOSSIBLE:
            continue
        made += 1
        for name, result in results.items():
            assert result.shape == right[name].shape and result.dtype == right[name].dtype, mutant.name
        assert all(np.array_equal(operands[k], v) for k, v in before.items()), mutant.name
    assert made > 10


@pytest.mark.parametrize("step", STEPS, ids=[s.name for s in STEPS])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_local_mutants_need_only_what_an_element_is_made_of(step, seed):
    """What a local mutant gives for one element follows from the reach of that element alone."""
    operands = drawn(step, seed)
    run = by_spec(step.op, step.row)
    checked = 0
    for mutant in of_step(step):
        if not mutant.local:
            continue
        try:
            results = mutant.around(run)(operands)
        except IMPOSSIBLE:
            continue
        for name, result in results.items():
            if not result.size:
                continue
            index = np.unravel_index(seed % result.size, result.shape)
            part, row, at = ops.reach(step.op, operands, step.row, name, tuple(map(int, index)))
            if row != step.row and mutant.kind in ("field", "row"):     # an operation's own reach has a row of its own
                continue
            alone = mutant.around(by_spec(step.op, row))(part)[name]
            assert alone[at] == result[index], mutant.name
            checked += 1
    assert checked or not any(m.local and m.kind in ("field", "site") for m in of_step(step))


@pytest.mark.parametrize("step", STEPS, ids=[s.name for s in STEPS])
def test_field_mutants_are_the_other_row(step):
    """A field mutant computes what the spec computes under the row that differs in that field."""
    from refq.ints.row import alternatives
    operands = drawn(step, 1)
    mutants = {m.name: m for m in of_step(step)}
    for name, row in alternatives(step.row):
        value = row
        for part in name.split("."):
            value = getattr(value, part)
        mutant = mutants.get(f"{name}={value}")
        if mutant is None or name == "multiplier" or "." in name or row.gives != step.row.gives:
            continue
        try:
            expected = plain(step.op, row)(operands)
        except IMPOSSIBLE:
            continue
        for key, result in mutant.around(by_spec(step.op, step.row))(operands).items():
            assert np.array_equal(result, expected[key]), mutant.name


@pytest.mark.parametrize("step", STEPS, ids=[s.name for s in STEPS])
def test_slips_by_the_kernel(step):
    """A slip around the kernel gives what it gives around the spec."""
    operands = drawn(step, 7)
    for mutant in of_step(step):
        if mutant.kind == "slip":
            try:
                expected = mutant.around(by_spec(step.op, step.row))(operands)
                results = mutant.around(by_kernel(step.op, step.row))(operands)
            except IMPOSSIBLE:
                continue
            for name, result in results.items():
                assert np.array_equal(result, expected[name]), mutant.name


def test_two_mutants_compose():
    """Around each other, two mutants of different fields are the row with both changed."""
    step = next(s for s in STEPS if s.op == "rescale")
    mutants = {m.name: m for m in of_step(step)}
    operands = drawn(step, 3)
    run = mutants["slip zp_dropped"].around(mutants["ties=floor"].around(by_spec("rescale", step.row)))
    from dataclasses import replace
    expected = plain("rescale", replace(step.row, ties="floor"))({**operands, "zp": 0})
    assert np.array_equal(run(operands)["y"], expected["y"])
