"""Program: an integer network as a list of steps, and how it runs.

A tensor is described for one image: its shape has no batch axis; an array of n images is (n *shape). Between `encode`,
which quantizes images, and `decode`, which gives logits, no float exists; but in a network that came quantized, where `left`
says so: there the steps dequantize, island and quantize stand.
"""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from os import cpu_count

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.graph.bounds import refuse_overflow
from refq.grids.affine import Affine
from refq.ints.operand import Operand, check
from refq.ints.sites import unwatched
from refq.ints.width import Width


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a program: `shape` of one image (or of the constant), `width` of its codes, `grid`: what they mean
    (None for plain integers: multipliers, shifts, tables), `role`: input, activation, accumulator, output, weight, bias
    or parameter."""

    name: str
    shape: tuple
    width: Width
    grid: Affine | None
    role: str

    @property
    def bytes(self):
        return prod(self.shape) * self.width.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Step:
    """One operation: `inputs` and `outputs` map its operand and result names to tensor names; `scales` the real numbers
    that its constants were made from (label to float64 array)."""

    name: str
    op: str
    row: object
    inputs: dict
    outputs: dict
    scales: dict = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Program:
    """`steps` in topological order; `tensors` by name; `constants`: the codes of weights, biases and parameters by
    tensor name; `inputs`, `outputs`: tensor names; `dialect`, `recipe`: the names they were made under; `roles`: the
    operation that plays each role of the dialect that is used, and from whom it is borrowed (or None); `ties`: how
    images become codes; `left`: the nodes that stayed in float, name to operation and reason; `entries`: input to the row
    of quantize by which the target itself makes codes of it, in a network that comes quantized."""

    steps: tuple
    tensors: dict
    constants: dict
    inputs: tuple
    outputs: tuple
    dialect: str
    recipe: str
    roles: dict = field(default_factory=dict)
    ties: str = "half_even"
    left: dict = field(default_factory=dict)
    entries: dict = field(default_factory=dict)

    def encode(self, images, name=None):
        """Images (n *shape), float, as codes of the input tensor: by the exact quotient, ties as the dialect says; or, where
        `entries` has a row, as the target quantizes them, from float32. Tokens, positions and what stays in float stand for
        themselves."""
        name = name or self.inputs[0]
        tensor = self.tensors[name]
        images = np.asarray(images)
        if images.shape[1:] != tensor.shape:
            raise IllFormed(f"images of shape {images.shape}: the network takes (n, {', '.join(map(str, tensor.shape))})")
        if name in self.entries:
            return entered(images, self.entries[name], tensor.grid)
        if tensor.grid is not None:
            return tensor.grid.encode(images, self.ties)
        whole = np.issubdtype(tensor.width.dtype, np.integer)           # else a float that a file's network left one
        if whole and images.size and not ((images == np.floor(images)).all() and np.abs(images).max() <= tensor.width.hi):
            raise IllFormed(f"input {name!r} takes whole numbers (tokens, positions); the array given holds others")
        return images.astype(tensor.width.dtype)

    def decode(self, codes, name=None):
        """Codes of an output tensor as float64 values; plain integers (of an ArgMax) stand for themselves."""
        grid = self.tensors[name or self.outputs[0]].grid
        return grid.decode(codes) if grid is not None else np.asarray(codes, np.float64)

    def run(self, inputs, engine="kernel", at=unwatched, watch=None, threads=None):
        """The outputs (name to array) for `inputs`: the codes of the one input (n *shape), or name to codes.

        `engine`: "kernel", or "spec" whose sites report to `at`. `watch(step, name, array)` sees every result, image by
        image in order of the steps. `threads`: over how many images are split (default: one per processor; one where
        somebody watches). Raises IllFormed for codes of a wrong dtype, shape or range, and for an unknown engine.

        >>> import refq
        >>> from refq import embedded
        >>> images = embedded.as_input(embedded.images()[:8])
        >>> program = refq.quantize(refq.load(embedded.network()), images, "int8", "tosa")
        >>> codes = program.run(program.encode(images))[program.outputs[0]]
        >>> codes.shape, codes.dtype.name, program.decode(codes).argmax(1).tolist() == embedded.labels()[:8].tolist()
        ((8, 10), 'int16', True)
        """
        if engine not in ("kernel", "spec"):
            raise IllFormed(f"an engine named {engine!r}; there are kernel and spec")
        if threads is not None and threads < 1:
            raise IllFormed(f"{threads} threads; at least 1 is needed")
        inputs = inputs if isinstance(inputs, dict) else {self.inputs[0]: inputs}
        inputs = {name: np.asarray(codes) for name, codes in inputs.items()}
        images = self.admit(inputs)
        plan = self.plan(engine)
        threads = 1 if watch or at is not unwatched else threads or cpu_count()
        chunk = max(1, min(self.images_at_once // threads, -(-images // threads)))
        parts = [{k: v[i:i + chunk] for k, v in inputs.items()} for i in range(0, images, chunk)] or [inputs]
        if threads == 1 or len(parts) == 1:
            done = [self.walk(plan, part, at, watch) for part in parts]
        else:
            with ThreadPoolExecutor(threads) as pool:
                done = list(pool.map(lambda part: self.walk(plan, part, at, watch), parts))
        return {name: np.concatenate([d[name] for d in done]) for name in self.outputs}

    def admit(self, inputs):
        """The door: every input is there, of the declared dtype, shape and range. Gives the number of images."""
        counts = set()
        if strange := [name for name in inputs if name not in self.inputs]:
            raise IllFormed(f"an input {strange[0]!r}; the network takes {', '.join(self.inputs)}")
        for name in self.inputs:
            tensor = self.tensors[name]
            if name not in inputs:
                raise IllFormed(f"no codes for input {name!r}; the network takes {', '.join(self.inputs)}")
            codes = inputs[name]
            if codes.shape[1:] != tensor.shape:
                raise IllFormed(f"input {name!r} has shape {codes.shape}; "
                                f"the network takes (n, {', '.join(map(str, tensor.shape))})")
            check({name: self.door(name)}, inputs, "input")
            counts.add(len(codes))
        if len(counts) != 1:
            raise IllFormed(f"the inputs hold different numbers of images: {sorted(counts)}")
        return counts.pop()

    def door(self, name):
        """What an input may hold: its width; real numbers and places (of tokens, say) as the steps that take them say."""
        width = self.tensors[name].width
        if width.dtype.kind != "f" and self.tensors[name].grid is not None:
            return width("")
        takers = [step.row.takes[operand] for step in self.steps for operand, taken in step.inputs.items() if taken == name]
        lo, hi = max((d.lo for d in takers), default=width.lo), min((d.hi for d in takers), default=width.hi)
        return Operand(width, "", lo, hi, all(d.nan for d in takers))

    def prove(self):
        """Raises IllFormed where a register could overflow (bounds.py); what was proven once is not proven again."""
        if "proven" not in self.__dict__:
            refuse_overflow(self)
            self.__dict__["proven"] = True

    @cached_property
    def images_at_once(self):
        """So many images, over all threads, that their activations need no more room than the constants."""
        largest = max(sum(self.tensors[t].bytes for t in (*s.inputs.values(), *s.outputs.values())
                          if t not in self.constants) for s in self.steps)
        return max(1, sum(c.nbytes for c in self.constants.values()) // max(1, largest))

    @cached_property
    def plans(self):
        return {}

    def plan(self, engine):
        if engine not in self.plans:
            self.prove()
            last = {t: i for i, s in enumerate(self.steps) for t in s.inputs.values()}
            keep = {*self.outputs, *self.constants}
            self.plans[engine] = [Call(self, s, engine, [t for t in {*s.inputs.values(), *s.outputs.values()} - keep
                                                         if last.get(t, i) == i]) for i, s in enumerate(self.steps)]
        return self.plans[engine]

    def walk(self, plan, inputs, at, watch):
        live = {name: np.ascontiguousarray(inputs[name]) for name in self.inputs}
        images = len(next(iter(live.values())))
        for call in plan:
            call(live, images, at)
            if watch:
                for name in call.step.outputs.values():
                    watch(call.step, name, live[name])
            for name in call.dead:
                del live[name]
        return {name: live[name] for name in self.outputs}


def entered(images, row, grid):
    """Images as codes of `grid`, by the row of a quantize."""
    module, codes = ops.load("quantize"), np.empty((images.size, 1), row.out.dtype)
    with np.errstate(over="ignore"):
        flat = np.ascontiguousarray(images, np.float32).reshape(-1, 1)
    built = module.build(row, float(grid.scale), int(grid.zero))
    constants = {k: np.asarray(v, row.takes[k].width.dtype) for k, v in built.items()}
    if row.nan == "refused" and np.isnan(flat).any():
        raise IllFormed("images: they hold NaN, which has no code; clean them first")
    check(row.takes, {"x": flat} | constants, "images")
    module.kernel(row)(flat, constants["scale"], constants["zp"], codes)
    return np.maximum(codes, codes.dtype.type(grid.lo)).reshape(images.shape)


class Call:
    """One step made ready: its kernel or spec, its constants as the operation takes them, the tensors it is last to use."""

    def __init__(self, program, step, engine, dead):
        self.step, self.dead, self.engine = step, dead, engine
        module = ops.load(step.op)
        self.run = module.kernel(step.row) if engine == "kernel" else module.spec
        self.takes, self.gives = step.row.takes, step.row.gives
        self.results = [(name, program.tensors[name].shape, self.gives[k].width.dtype, self.gives[k])
                        for k, name in step.outputs.items()]
        self.constants = {}
        for operand, name in step.inputs.items():
            if name in program.constants:
                self.constants[operand] = constant(self.takes[operand], program.constants[name], step, operand)

    def __call__(self, live, images, at):
        operands = []
        for name, declared in self.takes.items():
            if name in self.constants:
                value = self.constants[name]
                if declared.joins:
                    value = declared.view(np.ascontiguousarray(np.broadcast_to(value, (images, *value.shape))))
            else:
                value = declared.view(live[self.step.inputs[name]])
            operands.append(value)
        if self.engine == "spec":
            values = self.run(*operands, row=self.step.row, at=at)
            values = values if isinstance(values, tuple) else (values,)
            for (name, shape, dtype, _), value in zip(self.results, values):
                live[name] = np.ascontiguousarray(value, dtype).reshape(images, *shape)
        else:
            results = [np.empty((images, *shape), dtype) for _, shape, dtype, _ in self.results]
            self.run(*operands, *(d.view(r) for r, (*_, d) in zip(results, self.results)))
            live.update(zip((r[0] for r in self.results), results))


def constant(declared, codes, step, operand):
    """A constant as the operation takes it, checked once: a contiguous array of the declared dtype, or a number."""
    codes = np.asarray(codes, order="C")
    check({operand: declared}, {operand: codes}, f"step {step.name}")
    if declared.names:
        return codes
    return codes[()] if declared.width.dtype.kind == "f" else int(codes[()])
