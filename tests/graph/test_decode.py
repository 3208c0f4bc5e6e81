"""A decoder in integers: all tokens at once and one after the other are the same bits; and what its door refuses."""
import re
from dataclasses import replace

import numpy as np
import pytest
from nets import both
from networks import decoders

import refq
from refq import embedded, recipes
from refq.errors import IllFormed
from refq.graph import decode
from refq.graph.calibrate import observe
from refq.graph.evaluate import activations, evaluate
from refq.graph.groups import Groups
from refq.load.network import load

CONTEXT = 7


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return load(decoders.written(tmp_path_factory.mktemp("llama") / "model", max_position_embeddings=CONTEXT))


def calibration():
    return decoders.tokens(12, CONTEXT, 3)


@pytest.fixture(scope="module")
def program(network):
    return refq.quantize(network, calibration(), "int8", "tflite")


def caches_of(program, decoder, tokens):
    """The rows that the program of the whole context makes, where the decoder's caches have them: cache to codes."""
    seen = {}
    program.run(program.encode(tokens), watch=lambda step, name, array: seen.__setitem__(name, array))
    rows = {step.inputs["x"]: step.inputs["new"] for step in decoder.steps if step.op == "append"}
    return {cache: seen[name] if name in seen else seen[f"{cache}.columns"].swapaxes(2, 3) for cache, name in rows.items()}


@pytest.mark.parametrize("dialect, recipe", [
    ("tflite", "int8"), ("ivit", "w4a8"), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in
                                            (("onnx", "w8a16"), ("tosa", "int8"), ("onnx", "w4a8")))])
def test_one_after_the_other_is_all_at_once(network, dialect, recipe):
    """Logits and caches, bit for bit, of two sequences; in single tokens and in groups of them."""
    program, tokens = refq.quantize(network, calibration(), recipe, dialect), decoders.tokens(2, CONTEXT)
    whole = program.run(program.encode(tokens))[program.outputs[0]]
    for count in (1, 3):
        decoder = decode.decoder(network, program, count)
        caches = decode.empty(decoder, 2)
        for at in range(0, CONTEXT - count + 1, count):
            logits, caches = decode.step(decoder, tokens[:, at:at + count], at, caches)
            assert np.array_equal(logits, whole[:, at:at + count])
        filled = CONTEXT // count * count
        for cache, rows in caches_of(program, decoder, tokens).items():
            assert np.array_equal(caches[cache][:, :, :filled], rows[:, :, :filled])


def test_kernel_is_spec(network, program):
    """Of the whole context, and of one token in the middle of it."""
    tokens = decoders.tokens(1, CONTEXT)
    both(program, program.encode(tokens))
    decoder = decode.decoder(network, program)
    rng = np.random.default_rng(0)
    caches = {name: rng.integers(-128, 127, codes.shape, endpoint=True).astype(codes.dtype)
              for name, codes in decode.empty(decoder).items()}
    both(decoder, {"tokens": tokens[:, :1], "positions": np.array([[3]], np.int32), **caches})


def test_it_follows_the_float_network(network, program):
    tokens = decoders.tokens(4, CONTEXT, 9)
    integer, exact = program.decode(program.run(program.encode(tokens))["lm_head"]), evaluate(network, tokens)["lm_head"]
    assert ((integer - exact) ** 2).sum() < 0.01 * (exact ** 2).sum()


def test_tokens_behind_do_not_count(program):
    """What comes after a token changes nothing of its logits: a shorter text is padded with anything."""
    tokens = decoders.tokens(1, CONTEXT)
    other = tokens.copy()
    other[:, 4:] = (other[:, 4:] + 5) % 37
    one, two = (program.run(program.encode(t))["lm_head"] for t in (tokens, other))
    assert np.array_equal(one[:, :4], two[:, :4]) and not np.array_equal(one[:, 4:], two[:, 4:])


@pytest.mark.parametrize("tokens, position, said", [
    ([[1]], CONTEXT, "positions.* allowed is 0 to 6"), ([[1]], -1, "positions"), ([[37]], 0, "tokens.* allowed is 0 to 36"),
    ([[1, 2]], 0, "takes \\(n, 1\\)")])
def test_the_door_refuses(network, program, tokens, position, said):
    """A context longer than the cache, and a token that the vocabulary does not have: before anything is computed."""
    decoder = decode.decoder(network, program)
    caches = decode.empty(decoder)
    with pytest.raises(IllFormed, match=said):
        decode.step(decoder, tokens, position, caches)
    assert all((codes == decode.empty(decoder)[name]).all() for name, codes in caches.items())


def test_tokens_are_encoded_as_they_are(program):
    assert program.encode(np.array([[0, 1, 2, 3, 4, 5, 36]])).dtype == np.int32
    with pytest.raises(IllFormed, match="whole numbers"):
        program.encode(np.array([[0, 1, 2, 3, 4, 5, 0.5]]))
    with pytest.raises(IllFormed, match="36"):
        program.run(np.array([[0, 1, 2, 3, 4, 5, 37]], np.int32))


def test_calibration_takes_tokens_only(network):
    with pytest.raises(IllFormed, match="0 to 36"):
        refq.quantize(network, np.full((2, CONTEXT), 40), "int8", "tflite")


def test_a_decoder_needs_a_language_model_and_its_program(network, program, tmp_path):
    other = load(decoders.written(tmp_path / "model", max_position_embeddings=CONTEXT, num_hidden_layers=3))
    with pytest.raises(IllFormed, match="has no tensor"):
        decode.decoder(other, program)
    with pytest.raises(IllFormed, match="no language model"):
        decode.decoder(load(embedded.network()), program)


def test_what_is_borrowed_is_said(program):
    """Nobody publishes these operations for a target: every summary says so."""
    assert {role: part["borrowed"] for role, part in program.roles.items()}["rope"] == "refq"


def test_logits_that_the_mask_hides_do_not_count(network):
    """The range of what enters softmax is that of the logits that are seen."""
    recipe, tokens = replace(recipes.load("int8"), calibrator="minmax"), calibration()
    ranges, groups, values = observe(network, tokens, recipe), Groups(network), activations(network, tokens)
    wider = 0
    for softmax in (node for node in network.nodes if node.op == "Softmax"):
        logits, seen = values[softmax.inputs[0]], np.tril(np.ones((CONTEXT, CONTEXT), bool))
        lo, hi = ranges[groups.of[softmax.inputs[0]]]
        assert (lo, hi) == (min(logits[..., seen].min(), 0), max(logits[..., seen].max(), 0)) or \
            (lo, hi) == (logits[..., seen].min(), logits[..., seen].max())
        wider += logits.max() > hi or logits.min() < lo
    assert wider


def test_the_example_of_the_readme(root, tmp_path, monkeypatch):
    """README.md's way from files to a text, on a small decoder with seeded weights."""
    decoders.written(tmp_path / "decoder")
    np.save(tmp_path / "tokens.npy", decoders.tokens(8, 12))
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"^```py\n(.*?decode\.decoder.*?)^```$", (root / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(text, "README.md", "exec"), names)
    assert len(names["text"]) == 12
