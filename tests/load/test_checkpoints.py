"""GPTQ, AWQ and compressed-tensors checkpoints of a decoder: the same codes, kept to the integer program, and what is refused."""
import numpy as np
import pytest
from load import quantized_checkpoints as files
from networks import decoders
from safetensors.numpy import load_file, save_file

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.graph.evaluate import evaluate
from refq.graph.quantize import quantize
from refq.load.network import load

ALL = {
    "gptq": (files.gptq, {}), "gptq 2 bits": (files.gptq, {"bits": 2}), "gptq 3 bits": (files.gptq, {"bits": 3, "size": 32}),
    "gptq 8 bits": (files.gptq, {"bits": 8}), "gptq asymmetric": (files.gptq, {"alike": False}),
    "gptq_v2": (files.gptq, {"form": "gptq_v2", "alike": False}), "gptq act-order": (files.gptq, {"act_order": True}),
    "gptq per channel": (files.gptq, {"size": -1}), "awq": (files.awq, {}), "awq per channel": (files.awq, {"size": -1}),
    "packed": (files.compressed, {"size": 16}), "packed asymmetric": (files.compressed, {"size": 16, "symmetric": False}),
    "packed per channel": (files.compressed, {}), "packed 3 bits": (files.compressed, {"bits": 3, "size": 32}),
    "packed 8 bits": (files.compressed, {"bits": 8}), "int8": (files.compressed, {"form": "int-quantized", "bits": 8}),
    "int8 asymmetric": (files.compressed, {"form": "int-quantized", "bits": 8, "symmetric": False}),
    "int8 in groups": (files.compressed, {"form": "int-quantized", "bits": 8, "size": 16}),
}


@pytest.mark.parametrize("name", ALL)
def test_the_same_codes(tmp_path, name):
    make, how = ALL[name]
    folder, truth = make(tmp_path / "model", **how)
    network = load(folder)
    assert set(network.kept) == set(truth) and not network.grids
    for weight, (codes, scale, zero) in truth.items():
        grid, values = network.kept[weight], network.constants[weight]
        assert np.array_equal(values, (codes - zero) * scale), weight
        assert np.array_equal(grid.encode(values), codes)
        mine = grid.over(codes.shape)
        assert all(np.array_equal(np.broadcast_to(a, codes.shape), b) for a, b in zip(mine, (scale, zero), strict=True))
    assert network.family.stepwise(8).kept.keys() == truth.keys()


def test_several_files(tmp_path):
    folder, truth = files.awq(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    said = files.json.loads((folder / "config.json").read_text())["quantization_config"]
    network = load(decoders.sharded(tmp_path / "many", tensors, quantization_config=said, **files.SIZES))
    assert all(np.array_equal(network.kept[w].encode(network.constants[w]), codes) for w, (codes, _, _) in truth.items())


CHANNELS = ("gptq per channel", "awq per channel", "packed per channel", "int8", "int8 asymmetric")


@pytest.mark.parametrize("name", CHANNELS)
def test_the_program_keeps_the_codes(tmp_path, name):
    """Whatever bits the recipe gives weights: those that come quantized stay what they are."""
    make, how = ALL[name]
    folder, truth = make(tmp_path / "model", **how)
    program = quantize(load(folder), decoders.tokens(2), "int8", "tflite")
    for weight, (codes, _, zero) in truth.items():
        step = next(s for s in program.steps if s.name == weight.removesuffix(".weight"))
        assert np.array_equal(program.constants[step.inputs["w"]], codes)
        assert np.array_equal(np.broadcast_to(program.constants[step.inputs["zw"]], len(codes)), zero[:, 0])


GROUPS = ("gptq", "gptq_v2", "gptq act-order", "awq", "packed asymmetric", "int8 in groups")


@pytest.mark.parametrize("name", GROUPS)
def test_the_program_keeps_the_codes_of_groups(tmp_path, name):
    make, how = ALL[name]
    folder, truth = make(tmp_path / "model", **how)
    network, tokens = load(folder), decoders.tokens(3)
    program = quantize(network, tokens, "int8", "tflite")
    for weight, (codes, _, _) in truth.items():
        step = next(s for s in program.steps if s.name == weight.removesuffix(".weight"))
        made = program.constants[step.inputs["w"]]
        moved = next((s for s in program.steps if s.name == f"{step.name}.groups"), None)
        order = list(next(m[2] for m in moved.row.moves if m[0] == "gather")) if moved else slice(None)
        assert step.op == "matmul_groups" and np.array_equal(made, codes[:, order])
    logits = evaluate(network, tokens)[network.outputs[0]]
    mine = program.tensors[network.outputs[0]].grid.decode(program.run({"tokens": tokens})[network.outputs[0]])
    assert np.abs(mine - logits).max() < 0.25 * np.abs(logits).max()


def tried(folder, match, *kinds):
    with pytest.raises(kinds or (Corrupt, IllFormed, Unsupported), match=match) as said:
        load(folder)
    assert "\n" not in str(said.value) and str(folder) in str(said.value)


def changed(folder, part, change):
    """The folder with one tensor that ends in `part` made another."""
    tensors = load_file(folder / "model.safetensors")
    name = next(n for n in sorted(tensors) if n.endswith(part))
    made = change(tensors.pop(name))
    save_file(tensors | ({} if made is None else {name: np.ascontiguousarray(made)}), folder / "model.safetensors")
    return folder


def all_ones(words):
    words[0, 0] |= 15
    return words


def test_what_is_refused(tmp_path):
    def gptq(**how):
        return files.gptq(tmp_path / "gptq", **how)[0]

    def packed(**how):
        return files.compressed(tmp_path / "packed", **how)[0]
    tried(files.mended(gptq(), quant_method="bitsandbytes"), "'bitsandbytes'; gptq, awq, compressed-tensors", Unsupported)
    tried(files.mended(gptq(), bits="4"), "bits of quantization_config is '4'", IllFormed)
    tried(files.mended(gptq(), bits=5), "packs 2, 3, 4, 8", IllFormed)
    tried(files.mended(gptq(), checkpoint_format="marlin"), "checkpoint_format 'marlin'", Unsupported)
    tried(files.mended(files.awq(tmp_path / "awq")[0], group_size=24), "6 groups of scales; 96 codes .* of 24 have 4", Corrupt)
    tried(changed(gptq(), "q_proj.qzeros", all_ones), "qzeros holds 15 for channel 0, group 0: .* gptq_v2", Unsupported)
    tried(changed(gptq(), "q_proj.qweight", lambda w: w[:-1]), "each of 56 codes", Corrupt)
    tried(changed(gptq(), "q_proj.qzeros", lambda w: w[:, :-1]), "q_proj.qzeros: gptq_zeros", Corrupt)
    tried(changed(gptq(), "q_proj.qzeros", lambda w: None), "q_proj.qzeros is missing", Corrupt)
    tried(changed(gptq(), "q_proj.g_idx", lambda w: w + 1), "q_proj.g_idx", Corrupt)
    tried(changed(gptq(), "q_proj.scales", lambda w: w * 0), "zero points of .*q_proj.weight.*greater than 0", IllFormed)
    tried(files.mended(files.awq(tmp_path / "awq")[0], bits=3), "AWQ of 3 bits", Unsupported)
    tried(files.mended(files.awq(tmp_path / "awq")[0], version="gemv"), "version 'gemv'", Unsupported)
    tried(files.mended(packed(), format="float-quantized"), "format 'float-quantized'", Unsupported)
    tried(files.mended(packed(), config_groups={}), "one kind of integers is read", Unsupported)
    tried(changed(packed(), "q_proj.weight_packed", lambda w: w[:, :-1]), "q_proj.weight_packed: compressed_tensors", Corrupt)
    tried(changed(packed(), "q_proj.weight_scale", lambda w: w[:-1]), "q_proj.weight_scale is", Corrupt)
    plain = files.compressed(tmp_path / "plain", "int-quantized", 8)[0]
    tried(changed(plain, "q_proj.weight", lambda w: w.astype(np.int32)), "int-quantized weights are int8", Corrupt)
    empty = decoders.written(tmp_path / "empty", quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 128})
    tried(empty, "no tensor is packed so", Corrupt)


def test_changed_weights_are_not_quantized_anew(tmp_path):
    network = load(files.gptq(tmp_path / "channels", size=-1)[0])
    name = next(iter(network.kept))
    network.constants[name] = network.constants[name] * 1.5
    with pytest.raises(IllFormed, match="no longer what their codes mean"):
        quantize(network, decoders.tokens(2), "int8", "tflite")
    with pytest.raises(IllFormed, match="does not hold on scales that are pow2"):
        quantize(load(files.gptq(tmp_path / "channels", size=-1)[0]), decoders.tokens(2), "int8", "vta")


def test_activations_of_the_checkpoint_are_named(tmp_path):
    folder, _ = files.compressed(tmp_path / "model", "int-quantized", 8)
    group = files.json.loads((folder / "config.json").read_text())["quantization_config"]["config_groups"]["group_0"]
    group |= {"input_activations": {"num_bits": 8, "type": "int", "dynamic": True}}
    files.mended(folder, config_groups={"group_0": group})
    assert any("grids of its own" in note for note in load(folder).notes)
