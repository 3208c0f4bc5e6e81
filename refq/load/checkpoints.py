"""checkpoints: weights that come quantized in safetensors files, by the quantization_config of config.json, to the same codes.

    gptq                  qweight, qzeros, scales and g_idx, of 2, 3, 4 and 8 bits, formats gptq and gptq_v2; act-order
    awq                   qweight, qzeros and scales, version gemm
    compressed-tensors    pack-quantized (weight_packed, weight_scale, weight_zero_point, weight_shape, weight_g_idx) and
                          int-quantized (weight, weight_scale, weight_zero_point), per tensor, channel and group

A weight is exactly scale * (code - zero): of the stored scale, in no float16 product. Source: AutoGPTQ 0.7.1 and GPTQModel 7.7.0,
AutoAWQ 0.2.9, compressed-tensors 0.20.0; refq/layouts says how the words lie.
"""
from dataclasses import replace

import numpy as np

from refq import layouts
from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.grids.affine import Affine
from refq.ints.width import Width

INTEGERS = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
"""Names of integers in the headers of safetensors."""


class Checkpoint:
    """The tensors of a file (name to array, integers as they are) and what its config.json says; `where` begins messages."""

    def __init__(self, tensors, said, where):
        self.left, self.said, self.where = dict(tensors), said, where
        self.made, self.kept, self.notes = {}, {}, []

    def take(self, name):
        if name not in self.left:
            raise Corrupt(f"{self.where}: tensor {name} is missing; fetch the checkpoint anew.")
        return self.left.pop(name)

    def modules(self, end):
        """The names of what has a tensor that ends so, in order."""
        return sorted(name.removesuffix(f".{end}") for name in self.left if name.endswith(f".{end}"))

    def layout(self, name, *parameters):
        """The layout of that name; its refusals begin as all do."""
        try:
            return layouts.load(name).Layout(*parameters)
        except RefqError as error:
            raise type(error)(f"{self.where}: {error}.") from None

    def codes(self, tensor, layout, words, shape):
        """What the words of a tensor hold."""
        try:
            return layout.unpack({layout.PARTS[0]: words}, shape)
        except RefqError as error:
            raise type(error)(f"{self.where}: tensor {tensor}: {error}") from None

    def keep(self, module, codes, width, scale, zero, axis, block):
        """The weight of a module: codes (m k) on a grid; `scale` and `zero` as an Affine has them."""
        name = f"{module}.weight"
        try:
            grid = Affine(width, scale, zero, axis, block)
            grid.over(codes.shape)
        except IllFormed as error:
            raise IllFormed(f"{self.where}: the scales and zero points of {name}: {error}.") from None
        if codes.size and not grid.lo <= codes.min() <= codes.max() <= grid.hi:
            raise Corrupt(f"{self.where}: tensor {name} has codes from {codes.min()} to {codes.max()}; {width} holds "
                          f"{grid.lo} to {grid.hi}.")
        self.made[name], self.kept[name] = grid.decode(codes), grid

    def number(self, *keys, default=None):
        """The first of these keys that the quantization_config has, an integer."""
        value = next((self.said[k] for k in keys if self.said.get(k) is not None), default)
        if type(value) is not int:
            raise IllFormed(f"{self.where}: {keys[0]} of quantization_config is {value!r}; it is an integer.")
        return value

    def blocks(self, module, scale, zero, k, size, places=None):
        """(scale, zero, axis, block) of groups: scales and zero points (m groups), of `size` codes each along k, or where
        `places` (k) says which group each code is in."""
        groups = scale.shape[1]
        if places is not None:
            if places.shape != (k,) or places.size and not 0 <= places.min() <= places.max() < groups:
                raise Corrupt(f"{self.where}: tensor {module}.g_idx is {places.shape} and reaches from {places.min()} to "
                              f"{places.max()}; it says for each of {k} codes in which of {groups} groups it is.")
            if not np.array_equal(places, np.arange(k) // size):
                return scale[:, places], zero[:, places], 1, 1
        if groups != -(-k // size):
            raise Corrupt(f"{self.where}: {module} has {groups} groups of scales; {k} codes in groups of {size} have "
                          f"{-(-k // size)}.")
        if k % size:
            raise IllFormed(f"{self.where}: {module} has {k} codes in a row, which groups of {size} do not divide.")
        return (scale[:, 0], zero[:, 0], 0, None) if groups == 1 else (scale, zero, 1, size)


def gptq(file):
    bits, size = file.number("bits"), file.number("group_size", default=-1)
    form = file.said.get("checkpoint_format") or "gptq"
    if form not in ("gptq", "gptq_v2"):
        raise Unsupported(f"{file.where}: checkpoint_format {form!r} of GPTQ; gptq and gptq_v2 are read.")
    words, zeros = file.layout("gptq", bits), file.layout("gptq_zeros", bits, int(form == "gptq"))
    for module in file.modules("qweight"):
        packed, scale = file.take(f"{module}.qweight"), file.take(f"{module}.scales").T
        k, m = packed.shape[0] * 32 // bits, packed.shape[1]
        if scale.shape[0] != m:
            raise Corrupt(f"{file.where}: tensor {module}.scales has {scale.shape[0]} channels, and qweight has {m}.")
        zero = file.codes(f"{module}.qzeros", zeros, file.take(f"{module}.qzeros"), scale.shape).astype(np.int64)
        if (highest := np.argwhere(zero > (1 << bits) - 1)).size:
            channel, group = map(int, highest[0])
            raise Unsupported(f"{file.where}: tensor {module}.qzeros holds {(1 << bits) - 1} for channel {channel}, group "
                              f"{group}: most readers take that for a zero point of {1 << bits}, and some for 0; save it in "
                              "checkpoint_format gptq_v2.")
        codes = file.codes(f"{module}.qweight", words, packed, (m, k))
        places = file.left.pop(f"{module}.g_idx", None)
        file.keep(module, codes, Width(bits, False), *file.blocks(module, scale, zero, k, k if size == -1 else size, places))


def awq(file):
    if file.number("bits", "w_bit") != 4:
        raise Unsupported(f"{file.where}: AWQ of {file.number('bits', 'w_bit')} bits; 4 are read.")
    version = str(file.said.get("version", "gemm")).lower()
    if version != "gemm":
        raise Unsupported(f"{file.where}: version {version!r} of AWQ; gemm is read.")
    layout, size = file.layout("awq"), file.number("group_size", "q_group_size", default=-1)
    for module in file.modules("qweight"):
        packed, scale = file.take(f"{module}.qweight"), file.take(f"{module}.scales").T
        k, m = packed.shape[0], packed.shape[1] * 8
        zero = file.take(f"{module}.qzeros") if file.said.get("zero_point", True) else None
        zero = np.zeros(scale.shape, np.int64) if zero is None else file.codes(f"{module}.qzeros", layout, zero, scale.shape)
        codes = file.codes(f"{module}.qweight", layout, packed, (m, k))
        grid = file.blocks(module, scale, zero.astype(np.int64), k, k if size == -1 else size)
        file.keep(module, codes, Width(4, False), *grid)


def compressed(file):
    form = file.said.get("format")
    if form not in ("pack-quantized", "int-quantized"):
        raise Unsupported(f"{file.where}: format {form!r} of compressed-tensors; pack-quantized and int-quantized are read.")
    groups = list((file.said.get("config_groups") or {}).values())
    weights = [g.get("weights") for g in groups if isinstance(g, dict) and g.get("weights")]
    if not weights or any(w != weights[0] for w in weights) or weights[0].get("type", "int") != "int":
        raise Unsupported(f"{file.where}: config_groups of compressed-tensors say {weights!r} of weights; one kind of integers "
                          "is read.")
    if any(g.get("input_activations") for g in groups):
        file.notes.append("The checkpoint quantizes activations as well; refq calibrates grids of its own for them.")
    if form == "pack-quantized":
        packed(file, weights[0])
    else:
        plain(file, weights[0])


def packed(file, said):
    bits = said.get("num_bits", 4)
    layout = file.layout("compressed_tensors", bits)
    for module in file.modules("weight_packed"):
        words, scale, shape = (file.take(f"{module}.weight_{end}") for end in ("packed", "scale", "shape"))
        shape = tuple(int(n) for n in shape.reshape(-1))
        codes = file.codes(f"{module}.weight_packed", layout, words, shape)
        zero = file.left.pop(f"{module}.weight_zero_point", None)
        if zero is not None and zero.dtype.itemsize == 4:
            zero = file.codes(f"{module}.weight_zero_point", layout, zero.T, (scale.shape[1], shape[0])).T
        file.keep(module, codes, Width(bits), *spread(file, module, said, codes.shape, scale, zero))


def plain(file, said):
    width = Width(said.get("num_bits", 8))
    for module in file.modules("weight_scale"):
        codes, scale = file.take(f"{module}.weight"), file.take(f"{module}.weight_scale")
        if codes.dtype != np.int8 or codes.ndim != 2:
            raise Corrupt(f"{file.where}: tensor {module}.weight is {codes.dtype} {codes.shape}; int-quantized weights are int8 "
                          "(m k).")
        zero = file.left.pop(f"{module}.weight_zero_point", None)
        file.keep(module, codes, width, *spread(file, module, said, codes.shape, scale, zero))


def spread(file, module, said, shape, scale, zero):
    """(scale, zero, axis, block) of scales (1), (m 1) or (m groups) and zero points alike, or none."""
    zero = np.zeros(scale.shape, np.int64) if zero is None else np.ascontiguousarray(zero, np.int64)
    if zero.shape != scale.shape:
        raise Corrupt(f"{file.where}: {module} has scales {scale.shape} and zero points {zero.shape}; they are of one shape.")
    if scale.size == 1:
        return scale.reshape(()), zero.reshape(()), None, None
    size, places = said.get("group_size") or -1, file.left.pop(f"{module}.weight_g_idx", None)
    if scale.ndim != 2 or scale.shape[0] != shape[0]:
        raise Corrupt(f"{file.where}: tensor {module}.weight_scale is {scale.shape}, and the weight is {shape}.")
    return file.blocks(module, scale, zero, shape[1], shape[1] if size == -1 else size, places)


METHODS = {"gptq": gptq, "awq": awq, "compressed-tensors": compressed}


def decoded(tensors, said, where):
    """(tensor name to float64 array, weight to Affine, notes) of the tensors of a quantized checkpoint; `said`: its
    quantization_config. Raises Unsupported for a method that is not read, Corrupt and IllFormed that name the tensor."""
    method = said.get("quant_method") if isinstance(said, dict) else None
    if method not in METHODS:
        raise Unsupported(f"{where}: quantization_config of config.json says quant_method {method!r}; {', '.join(METHODS)} are "
                          "read.")
    file = Checkpoint(tensors, said, where)
    METHODS[method](file)
    if not file.kept:
        raise Corrupt(f"{where}: config.json says {method}, and no tensor is packed so; the two do not belong together.")
    floats = {name: np.asarray(values, np.float64) for name, values in file.left.items()}
    return floats | file.made, file.kept, tuple(file.notes)


def attached(graph, tensors, kept, notes, where):
    """The graph with the grids of its weights; raises Unsupported where the architecture takes a weight apart, or joins it."""
    for name in kept:
        if name not in graph.constants or not np.array_equal(graph.constants[name], tensors[name]):
            raise Unsupported(f"{where}: the architecture joins the quantized weight {name} with others; give the float network.")
    family = graph.family and replace(graph.family, kept=kept)
    return replace(graph, kept=kept, family=family, notes=(*graph.notes, *notes))
