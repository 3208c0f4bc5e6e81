"""Factors in graphs: which tensors lie on such grids, what moves keep them, what folds them, and that programs store them."""
from dataclasses import replace

import nets
import numpy as np
import pytest
from load.drawn import WIDTH, vit, written

from refq import dialects, recipes
from refq.errors import IllFormed
from refq.graph.calibrate import choose, observe
from refq.graph.factors import factored, streams
from refq.graph.quantize import quantize
from refq.graph.store import load, program_hash, save
from refq.load.network import load as network_of
from tests.graph.test_lower import class_token, out, post_norm, rows


def stream(s, width=WIDTH):
    """A residual stream behind a normalization: its sum, whose channels differ in size, and the norm of it."""
    sized = s.constant("sizes", np.exp2(np.linspace(-3, 1, width)))
    x = s.add("Mul", s.dense(rows(s), "embed", width, 12), sized)
    pos = s.constant("pos", s.draw.normal(0, 0.1, (1, 16, width)))
    y = s.dense(s.norm(s.add("Add", x, pos), "norm0"), "branch", width, width)
    return s.add("Add", x, s.add("Mul", y, sized))


def read_by(function):
    """The stream, read by a normalization and by `function`."""
    def draw(s):
        x = stream(s)
        return out(s, s.add("Add", s.norm(x, "norm1"), function(s, x)), 16 * WIDTH)
    return draw


def of_tokens(s, x):
    """Tokens sliced, joined in another order and turned: the channels stay where they are."""
    parts = [s.add("Slice", x, s.ints(a), s.ints(b), s.ints(1), s.ints(1)) for a, b in ((5, 16), (0, 5))]
    turned = s.add("Transpose", s.add("Reshape", s.add("Concat", *parts, axis=1), s.ints(-1, 4, 4, WIDTH)), perm=[0, 2, 1, 3])
    return s.add("Reshape", turned, s.ints(-1, 16, WIDTH))


READERS = {
    "a layer": lambda s, x: s.dense(x, "read", WIDTH, WIDTH),
    "moves of tokens": lambda s, x: s.norm(of_tokens(s, x), "moved"),
    "a softmax": lambda s, x: s.add("Softmax", x, axis=-1),
    "a function": lambda s, x: s.add("Sigmoid", x),
    "a product": lambda s, x: s.add("Mul", x, s.add("Sigmoid", x)),
    "a difference": lambda s, x: s.add("Sub", x, s.dense(x, "read", WIDTH, WIDTH)),
    "a mean": lambda s, x: s.add("ReduceMean", x, axes=[1], keepdims=1),
}


def kinds(program):
    return {name: t.grid.kind for name, t in program.tensors.items() if t.grid is not None}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_reads_a_stream(tmp_path, reader):
    """The stream lies on a grid of factors, integers follow the float network, kernels equal specs."""
    program = nets.near(nets.network(tmp_path, read_by(READERS[reader])), "fqvit", "fqvit", 17)
    grids = [program.tensors[name].grid for name, kind in kinds(program).items() if kind == "channel_factors"]
    assert grids and len({k for grid in grids for k in grid.exponents}) > 1
    assert {"layernorm_fqvit", "add_factors"} <= {s.op for s in program.steps}
    plain = [name for name in program.tensors if name.endswith(".affine")]
    assert bool(plain) == (reader in ("a function", "a product", "a mean"))


def test_a_layer_has_the_factors_in_its_weights(tmp_path):
    """Exactly: its accumulators are those of unfolded weights and codes that hold the factors."""
    network = nets.network(tmp_path, read_by(READERS["a layer"]))
    data = nets.images(network)
    program = quantize(network, data, "fqvit", "fqvit")
    step = next(s for s in program.steps if s.op == "matmul"
                and kinds(program).get(s.inputs["x"]) == "channel_factors")
    w, bias, grid = program.constants[step.inputs["w"]], program.constants[step.inputs["bias"]], \
        program.tensors[step.inputs["x"]].grid
    exponents = np.array(grid.exponents)
    assert exponents.max() > 0 and str(step.row.w) == f"i{8 + exponents.max()}"
    plain = w.astype(np.int64) >> exponents
    assert ((plain << exponents) == w).all() and np.abs(plain).max() <= 127
    seen = {}
    program.run(program.encode(data), watch=lambda step, name, array: seen.setdefault(name, []).append(array.copy()))
    x, acc = (np.concatenate(seen[name]).astype(np.int64) for name in (step.inputs["x"], step.outputs["acc"]))
    np.testing.assert_array_equal(acc, ((x - grid.zero) << exponents) @ plain.T + bias)
    real = program.tensors[step.inputs["w"]].grid.scale[:, None] * plain
    exact = grid.decode(x) @ real.T + bias * program.tensors[step.outputs["acc"]].grid.scale
    np.testing.assert_allclose(acc * program.tensors[step.outputs["acc"]].grid.scale, exact, rtol=1e-12, atol=1e-12)


def test_a_stream_whose_channels_move_has_none(tmp_path):
    """A transpose of tokens and channels joins tensors of other channels: they stay on an affine grid."""
    def turned(s, x):
        return s.add("Transpose", s.dense(s.add("Transpose", x, perm=[0, 2, 1]), "mixed", 16, 16), perm=[0, 2, 1])
    network = nets.network(tmp_path, read_by(turned))
    assert len(streams(network)) == 1           # that of norm0
    program = nets.near(network, "fqvit", "fqvit", 17)
    assert {"layernorm_fqvit", "add"} <= {s.op for s in program.steps}


@pytest.mark.parametrize("name", ["class token", "post-norm"])
@pytest.mark.parametrize("recipe", ["fqvit", "int8"])
def test_other_networks(tmp_path, name, recipe):
    """Streams of 8 and of 16 bits."""
    nets.near(nets.network(tmp_path, {"class token": class_token, "post-norm": post_norm}[name]), recipe, "fqvit", 17)


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    network = network_of(written(vit(), tmp_path_factory.mktemp("vit")))
    return network, quantize(network, nets.images(network), "fqvit", "fqvit")


def test_a_transformer(transformer):
    """Sums of the stream lie on factors, class token and positions among them; attention on powers of two of 4 bits."""
    network, program = transformer
    assert [s.op for s in program.steps].count("add_factors") == 5 and [s.op for s in program.steps].count("layernorm_fqvit") == 5
    assert [k for k in kinds(program).values()].count("log2") == 2
    assert all(str(program.tensors[n].width) == "u4" for n, k in kinds(program).items() if k == "log2")
    nets.both(program, program.encode(nets.images(network)))


def test_it_is_stored(tmp_path, transformer):
    """Saving and loading keeps the grids and the hash."""
    program = transformer[1]
    save(program, tmp_path)
    again = load(tmp_path)
    assert program_hash(again) == program_hash(program)
    assert all(t.grid is None or t.grid.same(again.tensors[name].grid) for name, t in program.tensors.items())


def test_grids_that_were_chosen_before(transformer):
    """Given again, factors among them, they make the same program; no image is needed."""
    network, program = transformer
    target, recipe, data = dialects.load("fqvit"), recipes.load("fqvit"), nets.images(network)
    grids = factored(network, data, choose(network, observe(network, data, recipe), recipe, target), target)
    assert program_hash(quantize(network, None, recipe, target, grids=grids)) == program_hash(program)
    with pytest.raises(IllFormed, match="takes an affine grid"):
        quantize(network, None, replace(recipe, stream=16), target, grids=grids)


def test_other_targets_know_no_factors(transformer):
    """The same network under a dialect whose LayerNorm takes none."""
    network = transformer[0]
    assert "channel_factors" not in kinds(quantize(network, nets.images(network), "int8", "tflite")).values()
