"""Quantized checkpoints of small decoders, written as the published packers write them, with no code of refq.

Every `write_*` gives (folder, {weight: (codes (m k), scale, zero)}), scale and zero spread over (m k).
"""
import json

import numpy as np
from networks import decoders

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1}
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def words(fields, bits):
    """int32 words of lines of fields (n k): one string of bits, low bits first, bit by bit."""
    n, k = fields.shape
    count = -(-k * bits // 32)
    made = np.zeros((n, count * 32), np.uint64)
    for i in range(k):
        for b in range(bits):
            made[:, i * bits + b] = fields[:, i].astype(np.uint64) >> np.uint64(b) & np.uint64(1)
    made = made.reshape(n, count, 32) << np.arange(32, dtype=np.uint64)
    return made.sum(2).astype(np.uint32).view(np.int32)


def drawn(shape, bits, groups, signed, least, seed):
    rng = np.random.default_rng(seed)
    lo = -(1 << bits - 1) if signed else 0
    codes = rng.integers(lo, lo + (1 << bits), shape)
    zero = rng.integers(lo + least, lo + (1 << bits), (shape[0], groups))
    scale = rng.uniform(0.5, 1, (shape[0], groups)).astype(np.float16) * np.float16(2.0 ** -(bits + 2))
    return codes, zero, scale.astype(np.float16)


def written(folder, said, module, untouched=()):
    """A checkpoint of the decoder whose linear layers `module(name, shape, seed)` gives as ({end: array}, truth)."""
    tensors, truth, left = decoders.drawn(decoders.CONFIG | SIZES), {}, {}
    for seed, (name, value) in enumerate(sorted(tensors.items())):
        part = name.removesuffix(".weight")
        if part.endswith(LINEARS) and part not in untouched:
            made, truth[name] = module(part, value.shape, seed)
            left |= {f"{part}.{end}": np.ascontiguousarray(array) for end, array in made.items()}
        else:
            left[name] = value.astype(np.float16) if name.endswith("norm.weight") else value
    decoders.written(folder, left, quantization_config=said, **SIZES)
    return folder, truth


def over(scale, zero, places):
    return scale.astype(np.float64)[:, places], zero[:, places]


def gptq(folder, bits=4, size=16, form="gptq", act_order=False, alike=True, **said):
    """As AutoGPTQ's pack: words along k, zero points along the channels, less 1 in the first format."""
    def module(part, shape, seed):
        k = shape[1]
        group = k if size == -1 else size
        codes, zero, scale = drawn(shape, bits, k // group, False, 1 if form == "gptq" else 0, seed)
        if alike:
            zero[:] = 1 << bits - 1
        places = np.arange(k) // group
        if act_order:
            places = np.random.default_rng(seed).permutation(places)
        stored = zero.T - (form == "gptq")
        return {"qweight": words(codes, bits).T, "qzeros": words(stored, bits), "scales": scale.T,
                "g_idx": places.astype(np.int32)}, (codes, *over(scale, zero, places))
    return written(folder, {"quant_method": "gptq", "bits": bits, "group_size": size, "desc_act": act_order,
                            "checkpoint_format": form, **said}, module)


def awq(folder, size=16, **said):
    """As AutoAWQ's from_linear: words along the channels, in the order 0 2 4 6 1 3 5 7."""
    def across(codes):
        m, k = codes.shape
        turned = codes.T.reshape(k, m // 8, 8)[:, :, [0, 2, 4, 6, 1, 3, 5, 7]]
        return words(turned.reshape(k, m), 4)

    def module(part, shape, seed):
        group = shape[1] if size == -1 else size
        codes, zero, scale = drawn(shape, 4, shape[1] // group, False, 0, seed)
        return {"qweight": across(codes), "qzeros": across(zero), "scales": scale.T}, (
            codes, *over(scale, zero, np.arange(shape[1]) // group))
    return written(folder, {"quant_method": "awq", "bits": 4, "group_size": size, "version": "gemm", "zero_point": True, **said},
                   module)


def compressed(folder, form="pack-quantized", bits=4, size=None, symmetric=True, **said):
    """As compressed-tensors: offset binary along k, zero points along the channels; or plain int8."""
    half = 1 << bits - 1

    def module(part, shape, seed):
        group = size or shape[1]
        codes, zero, scale = drawn(shape, bits, shape[1] // group, True, 0, seed)
        zero = zero * (not symmetric)
        made = {"weight_scale": scale}
        if form == "pack-quantized":
            made |= {"weight_packed": words(codes + half, bits), "weight_shape": np.array(shape, np.int64)}
            made |= {} if symmetric else {"weight_zero_point": words(zero.T + half, bits).T}
        else:
            made |= {"weight": codes.astype(np.int8)} | ({} if symmetric else {"weight_zero_point": zero.astype(np.int8)})
        return made, (codes, *over(scale, zero, np.arange(shape[1]) // group))
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "group_size": size,
               "strategy": "group" if size else "channel"}
    return written(folder, {"quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
                            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}, **said}, module)


def mended(folder, **changes):
    """The same folder with keys of its quantization_config changed."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] |= changes
    path.write_text(json.dumps(config))
    return folder
