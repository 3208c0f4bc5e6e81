"""Vectors are drawn by construction, the same for ever, within budget and sizes."""
from hashlib import shake_256

import digits
import numpy as np
import pytest

from refq import dialects
from refq.errors import IllFormed
from refq.graph.describe import codes_hash
from refq.ints.width import I8, I32
from refq.vectors.draw import again, draw
from refq.vectors.draw.configuration import configuration, links, together
from refq.vectors.draw.stream import Stream
from refq.vectors.draw.values import STYLES, drawn


def told(vectors):
    """All codes of vectors, as hashes."""
    tensors = vectors.program.tensors
    constants = {n: codes_hash(c, tensors[n]) for n, c in vectors.program.constants.items()}
    return constants | {n: codes_hash(c[0], tensors[n]) for n, c in vectors.inputs.items()}


def test_the_stream_is_fixed():
    """The bytes of shake_256 of seed, label and number of the call, little-endian."""
    assert Stream(0, "a").words(1).tolist() == [int.from_bytes(shake_256(b"0:a:1").digest(8), "little")]
    assert Stream(1, "a").words(2).tolist() != Stream(0, "a").words(2).tolist() != Stream(0, "b").words(2).tolist()


@pytest.mark.parametrize("style", STYLES, ids=lambda s: s.__name__)
def test_styles_keep_within_range(style):
    """Every style stays within the declared range, whatever the shape."""
    for declared in (I8("n c", -127, 127), I32("n c", 0, 5), I8("", 1, 62)):
        shape = (7, 5) if declared.names else ()
        codes = drawn(Stream(0, "s"), declared, shape, style)
        assert codes.shape == shape and codes.dtype == declared.width.dtype
        assert declared.lo <= codes.min() and codes.max() <= declared.hi


def test_same_arguments_same_vectors():
    """Deterministic by seed; another seed gives others; the manifest's configurations make them again."""
    first, second, other = draw("clip", "tosa"), draw("clip", "tosa"), draw("clip", "tosa", seed=1)
    assert told(first) == told(second) != told(other)
    how = first.about["vectors"]
    program, inputs = again(how["chain"], how["dialect"], how["configurations"])
    assert all(np.array_equal(inputs[n], c) for n, c in first.inputs.items())
    assert all(np.array_equal(program.constants[n], c) for n, c in first.program.constants.items())


def test_budget_and_sizes():
    """Codes stay within the budget once the first configuration is in it; given sizes are kept."""
    vectors = draw("rescale", "tosa", shape={"n": 4, "c": 6}, budget=2048)
    assert 0 < vectors.about["vectors"]["bytes"] <= 2048
    assert {c.shape for c in vectors.inputs.values()} == {(3, 4, 6)}


def test_ties_of_both_signs_and_parities():
    """A rescale's vectors tie at positive and negative values, beside even and odd codes, in the first configuration."""
    program, inputs = again("rescale", "tosa", [0])
    constants = {k: program.constants[f"rescale.0.{k}"] for k in ("mult", "shift", "zin")}
    acc = inputs["rescale.0.acc"].astype(object) - int(constants["zin"])
    mult, shift = constants["mult"].astype(object), constants["shift"].astype(object)
    wide = (acc * mult).reshape(-1, len(mult))
    found = set()
    for row in wide:
        for value, s in zip(row, shift):
            if s and value % (1 << s) == 1 << s - 1:
                found.add((value > 0, (value >> s) % 2))
    assert found == {(sign, parity) for sign in (True, False) for parity in (0, 1)}


def test_saturation_by_one_and_by_much():
    """Results would leave both ends of the range by one unit, and by many."""
    program, inputs = again("rescale", "tosa", [0])
    c = {k: program.constants[f"rescale.0.{k}"] for k in ("mult", "shift", "zin", "zp")}
    real = (inputs["rescale.0.acc"].astype(object) - int(c["zin"])) * c["mult"].astype(object)
    beyond = np.array([(v + (1 << s - 1) >> s if s else v) + int(c["zp"])
                       for v, s in zip(real.reshape(-1), np.resize(c["shift"].astype(object), real.size))], object)
    assert {-129, 128} & set(beyond.tolist()) and beyond.max() > 10_000 and beyond.min() < -10_000


@pytest.mark.parametrize("dialect", digits.SPINE)
def test_every_role_has_vectors(dialect):
    """The first configurations of every role are admitted, and kernels and specs agree on them."""
    for role in dialects.load(dialect).roles:
        chain = links(role, dialects.load(dialect))
        made = [configuration(chain, dialect, i, i, 0) for i in (0, 1)]
        program, inputs = together(made, dialect)
        fast, slow = program.run(inputs), program.run(inputs, engine="spec")
        assert all(np.array_equal(fast[n], slow[n]) for n in program.outputs)


@pytest.mark.parametrize("dialect", sorted(set(dialects.names()) - set(digits.SPINE)))
def test_every_rescale_has_vectors(dialect):
    """The same of the rescales of the others, two configurations each."""
    for role in ("rescale", "rescale_wide"):
        chain = links(role, dialects.load(dialect))
        program, inputs = together([configuration(chain, dialect, i, i, 0) for i in (0, 1)], dialect)
        fast, slow = program.run(inputs), program.run(inputs, engine="spec")
        assert all(np.array_equal(fast[n], slow[n]) for n in program.outputs)


@pytest.mark.parametrize("chain", ["matmul+rescale", "batch_matmul+rescale", "conv2d+rescale", "softmax+rescale",
                                   "matmul+rescale_wide"])
def test_units(chain):
    """In a unit the result of a step is the main operand of the next, configuration by configuration."""
    dialect = dialects.load("ivit")
    made = configuration(links(chain, dialect), "ivit", 0, 0, 0)
    first, last = made.steps
    assert next(iter(first.outputs.values())) == next(iter(last.inputs.values()))
    program, inputs = together([made], "ivit")
    assert len(np.unique(program.run(inputs)[program.outputs[0]])) > 16


def test_refusals():
    """An unknown name, and steps that do not fit, are refused with a sentence."""
    with pytest.raises(IllFormed, match="neither an operation nor a role"):
        draw("rescail", "tosa")
    with pytest.raises(IllFormed, match="has no role that this operation plays"):
        draw("shiftgelu", "tosa")


def test_axes_that_there_are_not_are_refused():
    """A size for an axis that the operation does not have is a sentence, not a set of vectors without it."""
    with pytest.raises(IllFormed, match="rescale has no axis 'k' to choose; it has"):
        draw("rescale", "tosa", {"k": 3})
