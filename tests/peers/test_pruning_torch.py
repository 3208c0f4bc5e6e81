"""torch's pruners against refq's: the same masks but for ties, and for torch's number that goes, which is the nearest one.

Which of equal weights stay torch leaves to topk: its WeightNormSparsifier (2.13, CPU) keeps the places 1 and 3 of (0, 1, 1, 1)
under 2:4, and another than the lower index in 18 of the 256 quads of 0 to 3. refq keeps the lower one.
"""
from itertools import product

import numpy as np
import pytest

from refq import pruners

torch = pytest.importorskip("torch")
classic = pytest.importorskip("torch.nn.utils.prune")


def layer(weight):
    made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight.data = torch.tensor(weight, dtype=torch.float32)
    return made


def sparsifier(weight, block, zeros):
    """The mask of torch.ao.pruning's WeightNormSparsifier, which zeroes so many of each block."""
    pruning = pytest.importorskip("torch.ao.pruning")
    network = torch.nn.Sequential(layer(weight))
    made = pruning.WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, block), zeros_per_block=zeros)
    made.prepare(network, [{"tensor_fqn": "0.weight"}])
    made.step()
    return network[0].parametrizations.weight[0].mask.numpy() > 0


def mine(weight, name, **parameters):
    return pruners.load(name, **parameters).choose({"w": weight})["w"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n, m", [(2, 4), (1, 4), (3, 4), (4, 8)])
def test_n_m(tally, n, m):
    """Every quad of 0 to 3, so every tie there is among four: the same magnitudes stay; of drawn weights the same weights."""
    quads = np.array(list(product(range(4), repeat=4)), np.float32)
    draw = np.random.default_rng(0)
    tied = np.concatenate([quads, quads[draw.permutation(256)]], 1) * draw.choice((-1, 1), (256, 8))
    for weight in (tied, draw.standard_normal((64, 256)).astype(np.float32)):
        theirs, own = sparsifier(weight, m, m - n), mine(weight, "n_m", pattern=f"{n}:{m}")
        stay = [np.sort(np.where(kept, np.abs(weight), -1).reshape(-1, m), 1) for kept in (theirs, own)]
        assert (stay[0] == stay[1]).all()
        tally("torch WeightNormSparsifier", weight.size, np.count_nonzero(own != theirs))
    assert (own == theirs).all()


@pytest.mark.parametrize("sparsity", [0, 0.25, 0.29, 0.333, 0.5, 0.999, 1])
def test_magnitude(tally, sparsity):
    """Of each layer and of all: torch takes the nearest number, half to even, so its mask has none or one weight less."""
    weights = {name: np.random.default_rng(i).standard_normal((32, 48)).astype(np.float32) for i, name in enumerate("ab")}
    layers = {name: layer(weight) for name, weight in weights.items()}
    for name, weight in weights.items():
        classic.l1_unstructured(layers[name], "weight", float(sparsity))
        theirs, own = layers[name].weight_mask.numpy() > 0, mine(weight, "magnitude_per_layer", sparsity=sparsity)
        assert np.count_nonzero(own != theirs) == round(sparsity * weight.size) - int(sparsity * weight.size)
        assert (own | theirs == own).all()
        tally("torch l1_unstructured", weight.size)
    layers = {name: layer(weight) for name, weight in weights.items()}
    classic.global_unstructured([(x, "weight") for x in layers.values()], classic.L1Unstructured, amount=float(sparsity))
    own = pruners.load("magnitude", sparsity=sparsity).choose(weights)
    total, less = sum(w.size for w in weights.values()), 0
    for name in weights:
        theirs = layers[name].weight_mask.numpy() > 0
        assert (own[name] | theirs == own[name]).all()
        less += np.count_nonzero(own[name] != theirs)
        tally("torch global_unstructured", theirs.size)
    assert less == round(sparsity * total) - int(sparsity * total)


@pytest.mark.filterwarnings("ignore")
def test_two_of_four_as_torch_takes_them():
    """torch's own 2:4 metadata hold what refq keeps: packed and unpacked, nothing is lost."""
    conversions = pytest.importorskip("torch.sparse._semi_structured_conversions")
    weight = np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32)
    kept = mine(weight, "n_m", pattern="2:4")
    pruned = torch.tensor(np.where(kept, weight, 0)).to(torch.float16)
    values, metadata = conversions.sparse_semi_structured_from_dense_cutlass(pruned)
    assert torch.equal(conversions.sparse_semi_structured_to_dense_cutlass(values, metadata), pruned)
