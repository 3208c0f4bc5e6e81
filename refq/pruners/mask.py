"""Mask: which weights of a tensor are kept, as a value; Masks: those of a network, by the names of its weights.

A mask lies on a weight of the canonical network, as `refq.load` gives it: behind folded batch norms, behind a Gemm's
transposition, q, k and v joined where the family joins them; (m k) of a linear layer, (m d kh kw) of a convolution. On disk it
is a safetensors file with one BOOL tensor for each weight, which any reader of that format gives as booleans; its metadata
say the pattern, the layers that read the weight, and a hash of all of it.

Biases are never masked.
"""
import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from math import prod
from pathlib import Path
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialized

from refq.errors import Corrupt, IllFormed, RefqError, nearest

FORMAT = 1
ENDING = ".safetensors"
PLACES = ("Linear", "Conv")
"""Operations whose second operand is a weight that can be masked."""


@dataclass(frozen=True, eq=False)
class Mask:
    """`kept`: boolean, True where the weight stays; `pattern`: in words, what made it; `layers`: the names of the nodes that
    read the weight, which are those of the steps of a program."""

    kept: np.ndarray
    pattern: str
    layers: tuple = ()

    def __post_init__(self):
        kept = np.array(self.kept, order="C")
        if kept.dtype != bool:
            raise IllFormed(f"a mask of dtype {kept.dtype}; it is boolean, True where a weight is kept")
        kept.flags.writeable = False
        object.__setattr__(self, "kept", kept)
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def shape(self):
        return self.kept.shape

    @property
    def pruned(self):
        """How many weights are masked."""
        return self.kept.size - int(np.count_nonzero(self.kept))

    def matrix(self):
        """The mask as kernels walk the weights: a row (m k) for each output, in the order in which its products are summed; of
        a convolution k is (kh kw d), channels last."""
        return matrix(self.kept)

    def __and__(self, other):
        """Kept where both keep."""
        return self.joined(other, np.logical_and, "and") if isinstance(other, Mask) else NotImplemented

    def __or__(self, other):
        """Kept where either keeps."""
        return self.joined(other, np.logical_or, "or") if isinstance(other, Mask) else NotImplemented

    def joined(self, other, rule, word):
        if self.shape != other.shape:
            raise IllFormed(f"masks of shapes {self.shape} and {other.shape} cannot be combined; they must be of one tensor")
        said = self.pattern if self.pattern == other.pattern else f"({self.pattern}) {word} ({other.pattern})"
        return Mask(rule(self.kept, other.kept), said, tuple(dict.fromkeys((*self.layers, *other.layers))))

    def same(self, other):
        """Equality by content."""
        return self.shape == other.shape and self.pattern == other.pattern and self.layers == other.layers \
            and bool((self.kept == other.kept).all())


def matrix(array):
    """An array of the shape of a weight, (m k) or (m d kh kw), as (m k) in the order in which kernels sum products."""
    array = np.asarray(array)
    turned = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
    return turned.reshape(len(array), prod(turned.shape[1:]))


def unmatrix(array, shape):
    """The inverse of `matrix`, for a weight of `shape`."""
    if len(shape) != 4:
        return array.reshape(shape)
    m, d, kh, kw = shape
    return array.reshape(m, kh, kw, d).transpose(0, 3, 1, 2)


@dataclass(frozen=True, eq=False)
class Masks:
    """`tensors`: name of a weight to its Mask, in the order of the network."""

    tensors: dict

    def __post_init__(self):
        for name, mask in self.tensors.items():
            if not isinstance(mask, Mask):
                raise IllFormed(f"masks: {name!r} is {type(mask).__name__}; give a Mask for each weight")
        object.__setattr__(self, "tensors", dict(self.tensors))

    def __getitem__(self, name):
        if name not in self.tensors:
            raise IllFormed(f"no mask for {name!r}; {nearest(name, self.tensors)}")
        return self.tensors[name]

    def __iter__(self):
        return iter(self.tensors)

    def __len__(self):
        return len(self.tensors)

    def __contains__(self, name):
        return name in self.tensors

    @property
    def count(self):
        """Of how many weights the masks speak."""
        return sum(mask.kept.size for mask in self.tensors.values())

    @property
    def pruned(self):
        """How many of them are masked."""
        return sum(mask.pruned for mask in self.tensors.values())

    def __and__(self, other):
        """Kept where both keep; a weight that only one masks is masked by that one."""
        if not isinstance(other, Masks):
            return NotImplemented
        return Masks(self.tensors | {name: joined(name, self[name], mask, "__and__") if name in self else mask
                                     for name, mask in other.tensors.items()})

    def __or__(self, other):
        """Kept where either keeps; a weight that only one masks is kept whole, so it has no mask."""
        if not isinstance(other, Masks):
            return NotImplemented
        return Masks({name: joined(name, mask, other[name], "__or__") for name, mask in self.tensors.items() if name in other})

    def same(self, other):
        """Equality by content; the order of the tensors does not count."""
        return set(self) == set(other) and all(mask.same(other[name]) for name, mask in self.tensors.items())

    @cached_property
    def hash(self):
        """64 hex digits: equal for equal tensors' names, shapes, patterns, layers and masks."""
        digest = sha256()
        for name, mask in sorted(self.tensors.items()):
            words = [name, list(mask.shape), mask.pattern, list(mask.layers)]
            digest.update(json.dumps(words, separators=(",", ":")).encode() + b"\0")
            digest.update(np.packbits(mask.kept.ravel(), bitorder="little").tobytes())
        return digest.hexdigest()

    def describe(self):
        """Plain data, without the masks themselves."""
        return {"hash": self.hash, "weights": self.count, "pruned": self.pruned,
                "tensors": {name: {"pattern": m.pattern, "layers": list(m.layers), "shape": list(m.shape), "pruned": m.pruned}
                            for name, m in self.tensors.items()}}

    def save(self, path):
        """Write the file (.safetensors), whole or not at all; raises IllFormed for another ending, RefqError where it cannot
        be written."""
        path = Path(path)
        if path.suffix != ENDING:
            raise IllFormed(f"{path}: masks are written as {ENDING}")
        if not self.tensors:
            raise IllFormed(f"{path}: there is no mask to write")
        said = {name: {"pattern": m.pattern, "layers": list(m.layers)} for name, m in self.tensors.items()}
        about = {"format": FORMAT, "hash": self.hash, "tensors": said}
        data = serialized({name: m.kept for name, m in self.tensors.items()}, {"refq.masks": json.dumps(about)})
        part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError as e:
            part.unlink(missing_ok=True)
            raise RefqError(f"{path}: cannot be written: {e.strerror}; choose another place") from None

    def admit(self, network):
        """Refuse a network whose weights these masks are not of, naming the tensor."""
        for name, mask in self.tensors.items():
            readers = network.consumers.get(name, ()) if name in network.constants else ()
            if not readers:
                known = weights_of(network)
                raise IllFormed(f"{network.name}: has no weight {name!r}, for which there is a mask; the masks are another "
                                f"network's: {nearest(name, known)}" if known else
                                f"{network.name}: has no weights that can be masked, and there is a mask for {name!r}")
            if strange := [n for n in readers if not masks_weight(n, name)]:
                raise IllFormed(f"{network.name}: {name!r} has a mask, and node {strange[0].name} ({strange[0].op}) reads it; "
                                f"only weights that nothing but {' and '.join(PLACES)} reads can be masked")
            if (shape := np.shape(network.constants[name])) != mask.shape:
                raise IllFormed(f"{network.name}: weight {name!r} is {shape}, its mask {mask.shape}; the masks are another "
                                "network's")

    def apply(self, network):
        """The network with its masked weights at 0: before quantization, so that grids are chosen for what is left.

        Raises IllFormed for a network whose weights these masks are not of."""
        self.admit(network)
        zeroed = {name: np.where(mask.kept, network.constants[name], 0.0) for name, mask in self.tensors.items()}
        return replace(network, constants=network.constants | zeroed)

    def hold(self, program):
        """Prove the masks in an integer program: name of the weight to None where the code of every masked weight stands for
        exactly 0 in every step that reads it, else to a sentence that names the step, the first place that breaks it and
        its code, or says that no such step is there."""
        steps = {step.name: step for step in program.steps}
        return {name: next(filter(None, (broken(mask, layer, steps.get(layer), program) for layer in mask.layers)), None)
                if mask.layers else f"no layer is known that reads {name}" for name, mask in self.tensors.items()}


def joined(name, mine, other, word):
    """The masks of one tensor combined; raises IllFormed naming it."""
    try:
        return getattr(mine, word)(other)
    except IllFormed as e:
        raise IllFormed(f"{name}: {e}") from None


def masks_weight(node, name):
    """Whether a node reads the tensor as its weight, and only so."""
    return node.op in PLACES and [i for i, t in enumerate(node.inputs) if t == name] == [1]


def weights_of(network):
    """Name of each weight that can be masked to its readers, in the order of the network."""
    found = {}
    for node in network.nodes:
        name = node.inputs[1] if node.op in PLACES and len(node.inputs) > 1 else ""
        if name in network.constants and name not in found:
            readers = network.consumers[name]
            if all(masks_weight(n, name) for n in readers):
                found[name] = tuple(n.name for n in readers)
    return found


def broken(mask, layer, step, program):
    """Why a mask does not hold in a step, or None."""
    name = step.inputs.get("w") if step else None
    if name not in program.constants:
        return f"step {layer}: there is none with weights of that name in integers"
    kept, codes, grid = mask.kept, program.constants[name], program.tensors[name].grid
    kept = kept.transpose(0, 2, 3, 1) if kept.ndim == 4 else kept
    if codes.shape != kept.shape:
        return f"step {layer}: its weights are {codes.shape}, the mask {kept.shape}"
    wrong = ~kept & (grid.decode(codes) != 0)
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    return f"step {layer}: {name}{list(at)} is masked, and its code {int(codes[at])} does not stand for 0 " \
           f"({int(np.count_nonzero(wrong))} such)"


def load(path):
    """The Masks in a file that `save` wrote; raises IllFormed where it does not exist or holds no masks of refq, Corrupt where
    it is damaged or was changed."""
    path = Path(path)
    if not path.is_file():
        raise IllFormed(f"{path}: no such file; masks come as {ENDING}, and refq prune writes them")
    try:
        with safe_open(path, "numpy") as file:
            said = (file.metadata() or {}).get("refq.masks")
            if said is None:
                raise IllFormed(f"{path}: holds no masks of refq (its metadata have no refq.masks); refq prune writes them")
            about = json.loads(said)
            if about["format"] != FORMAT:
                raise IllFormed(f"{path}: masks of format {about['format']!r}; this version of refq reads format {FORMAT}")
            masks = read(file, about)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        if isinstance(e, IllFormed):
            raise
        raise Corrupt(f"{path}: is damaged or was changed: {e}; make the masks anew") from None
    return masks


def read(file, about):
    """The Masks in an open file; raises ValueError for what `about` does not say."""
    kept = {name: file.get_tensor(name) for name in file.keys()}
    if extra := [name for name in kept if name not in about["tensors"]]:
        raise ValueError(f"its metadata do not speak of tensor {extra[0]!r}")
    for name, bits in kept.items():
        if bits.dtype != bool or (bits.view(np.uint8) > 1).any():
            raise ValueError(f"tensor {name!r} is {bits.dtype}, not boolean" if bits.dtype != bool else
                             f"tensor {name!r} holds a byte that is neither 0 nor 1")
    masks = Masks({name: Mask(kept[name], str(words["pattern"]), words["layers"]) for name, words in about["tensors"].items()})
    if not masks or masks.hash != about["hash"]:
        raise ValueError("its masks do not have the hash that it says")
    return masks
