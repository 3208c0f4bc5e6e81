"""Filed: a network that comes quantized becomes a Program on the grids of its file.

Every node is played by the dialect's own role. Where that is borrowed or absent, where a tensor has no grid, or an operand
has a form that no operation here takes, the node is left in float: neighbours that are left form an island, codes become reals
before it and reals codes behind it, both as the target does it.
"""
from dataclasses import replace

import numpy as np

from refq.dialects.base import Role
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import Builder, by_channel, counting
from refq.graph.islands import ashore
from refq.graph.lower import lowered
from refq.grids.affine import same
from refq.grids.rounded import Rounded
from refq.ints.operand import F32
from refq.ops import dequantize, island, quantize
from refq.recipes.base import Recipe

AS_FILED = Recipe("as filed", "The grids that the file says", "the network's file")


def play(graph, dialect, integer_only=False):
    """The Program of a canonical `graph` whose tensors have grids. `integer_only`: a borrowed role plays too, and nothing is
    left in float.

    Raises IllFormed for what contradicts itself, or the dialect; Unsupported, under `integer_only`, with every node that
    would stay in float, and why."""
    if twice := [name for name in graph.outputs if graph.outputs.count(name) > 1]:
        raise Unsupported(f"{graph.name}: several outputs are one tensor, {twice[0]}; leave out all but one")
    refuse_grids(graph, dialect)
    builder = Filed(graph, dialect, integer_only)
    parts = {node.name: builder.tried(node) for node in graph.nodes}
    if builder.left and integer_only:
        each = "; ".join(f"{node} ({why})" for node, why in builder.left.items())
        raise Unsupported(f"{graph.name}: cannot be run in integers alone under dialect {dialect.name}: {each}")
    for group in ashore(graph, builder.left):
        if group[0].name in builder.left:
            builder.island(group)
        else:
            builder.steps += parts[group[0].name]
    return builder.program()


def refuse_grids(graph, dialect):
    """Raises IllFormed for a grid that the dialect cannot hold, naming the tensor."""
    for name, grid in graph.grids.items():
        if name in graph.constants:
            continue
        bits = grid.width.bits
        if grid.scale.ndim:
            raise IllFormed(f"tensor {name}: an activation with {grid.scale.size} scales; give it one for all")
        if bits > max(dialect.activations):
            raise IllFormed(f"tensor {name}: codes of {bits} bits, which dialect {dialect.name} forbids; it allows "
                            f"{', '.join(map(str, dialect.activations))}")
        middle = 0 if grid.width.signed else 1 << bits - 1
        wanted = min(b for b in dialect.activations if b >= bits)
        if int(grid.zero) != middle and wanted not in dialect.asymmetric and int(grid.zero) != 0:
            raise IllFormed(f"tensor {name}: zero point {int(grid.zero)}, which dialect {dialect.name} forbids at {bits} bits")
        if dialect.scales == "pow2" and np.frexp(float(grid.scale))[0] != 0.5:
            raise IllFormed(f"tensor {name}: scale {float(grid.scale)!r}; dialect {dialect.name} holds powers of two only")


EXACT = frozenset({"arrange", "clip", "max_pool", "argmax", "island"})
"""Roles that round nothing."""
ONCE = frozenset({"rescale", "rescale_double", "rescale_float32", "rescale_float32_bias", "rescale_float64", "rescale_preshift",
                  "requantize_float32", "quantize", "add", "add_float32", "add_ratio_float32", "add_weighted", "mul",
                  "mul_float32", "average_pool", "average_pool_float32", "table", "leaky_relu", "softmax_table"})
"""Operations whose `ties` is the rounding of the result and of nothing before it, `high` and `alone` aside."""


class Left(Unsupported):
    """A node stays in float; the message says why."""


class Filed(Builder):
    """The builder of such a network: grids are the file's, and a step is refused that the target would not run so."""

    def __init__(self, graph, dialect, borrows):
        self.borrows = borrows
        super().__init__(graph, graph.grids, AS_FILED, dialect)
        for node in graph.nodes:
            for name in node.outputs:
                if name in graph.grids:
                    self.tensor(name, self.shape(name), graph.grids[name], "activation")

    def entry(self, name):
        return self.graph.grids.get(name)

    def program(self):
        """The Program; where the target quantizes inputs itself, in its own way, their codes are made so."""
        made, part = super().program(), self.dialect.roles.get("quantize")
        if part is None or part.borrowed:
            return made
        grids = {name: self.graph.grids[name] for name in self.graph.inputs if name in self.graph.grids}
        rows = {name: replace(part.row, out=grid.width) for name, grid in grids.items() if grid.width.bits <= 16}
        return replace(made, entries=rows)

    def grid_of(self, name):
        if name not in self.graph.grids:
            raise Left(f"{name} has no grid")
        return self.graph.grids[name]

    def tensor(self, name, shape, grid, role, width=None):
        return super().tensor(name, shape, grid, role, width or (F32 if grid is None else None))

    def part(self, role):
        """Own roles, and those of islands; raises Left for a role that is absent, or borrowed where nothing is."""
        around = {"island": Role("island", island.Row()), "dequantize": Role("dequantize", dequantize.Row()),
                  "quantize": Role("quantize", quantize.Row(ties=self.dialect.encode))}
        part = self.dialect.roles.get(role)
        if part is None and role not in around:
            raise Left(f"dialect {self.dialect.name} has no {role}")
        if part is not None and part.borrowed and not self.borrows:
            if role in around:
                return around[role]
            raise Left(f"{role} is borrowed from {part.borrowed}")
        return part or around[role]

    def factor(self, name):
        self.grid_of(name)
        return name

    def step(self, name, role, inputs, results, scales=None, widths=None, means=None, **build):
        """A step, its rounding the file's where that says one; on a grid without its lowest code a clip follows."""
        result, shape, grid, kind = results[0]
        if role in EXACT or grid is None:
            return super().step(name, role, inputs, results, scales, widths, means, **build)
        full = f"{result}.full" if grid.narrow else result
        made = [(full, shape, grid, kind), *results[1:]]
        super().step(name, role, inputs, made, scales, (widths or {}) | self.own(role, grid), means, **build)
        if grid.narrow:
            super().step(f"{result}.narrow", "clip", {"q": full}, results, {"x": grid.scale}, {"q": grid.width}, lo=grid.lo,
                         hi=grid.hi)
        return result

    def own(self, role, grid):
        """The fields of a row that the file states: its rounding, which is then the only one."""
        if not isinstance(grid, Rounded):
            return {}
        part = self.part(role)
        if part.op not in ONCE:
            raise Left(f"{part.op} rounds in its own way, and the file says {grid.ties}")
        alone = {"alone": "half_up"} if getattr(part.row, "alone", "") == "same" else {}       # not of the operands
        return {"ties": grid.ties, "high": "none"} | alone

    def tried(self, node):
        """The steps that play `node`; where it is left in float none, and `self.left` says why."""
        before = dict(self.tensors), dict(self.constants), dict(self.used)
        self.steps = []
        try:
            if node.op not in lowered:
                raise Left("no integer form here")
            if node.op == "Requantize" and node.inputs[0] in self.graph.inputs and node.inputs[0] not in self.graph.grids:
                self.coded(node.outputs[0], node.inputs[0])     # the images themselves, rounded as the file says
                steps, self.steps = self.steps, []
                return steps
            for name in (*node.inputs, *node.outputs):
                if name and name not in self.graph.constants and node.op != "ArgMax":
                    self.grid_of(name)
            lowered[node.op](self, node)
        except Unsupported as why:
            self.tensors, self.constants, self.used = before
            self.left[node.name] = f"{node.op}: " + str(why).removeprefix(f"node {node.name}: ")
            self.steps = []
        except IllFormed as e:
            raise e if node.name in str(e) else IllFormed(f"node {node.name}: {e}") from None
        steps, self.steps = self.steps, []
        return steps

    def has(self, role):
        return role in self.dialect.roles and (self.borrows or not self.dialect.roles[role].borrowed)

    def aligned(self, node, name, grid):
        tensor = self.tensors[name]
        if grid is None or same(tensor.grid, grid):
            return name
        carried = f"{node.name}.{node.inputs.index(name)}.requantized"
        if carried not in self.tensors:
            self.rescale(carried, name, carried, grid, (tensor.grid.scale,), int(tensor.grid.zero),
                         plays=[self.dialect.fitted("requantize", tensor.grid.width, grid.width)])
        return carried

    def scales_by(self, name):
        return False

    def weights(self, node, x, weight, bias):
        grid, values = self.graph.grids.get(weight), self.graph.constants[bias]
        if grid is None:
            raise Left(f"{weight} has no grid")
        along = 1 if node.op == "ConvTranspose" else 0
        if grid.block is not None or grid.axis not in (None, along):
            raise Left(f"{weight} has blocks" if grid.block is not None else f"{weight} has scales along axis {grid.axis}")
        if x.width.bits > max(self.dialect.accumulators):
            raise Left(f"no register for products with {x.width.bits} bits")
        codes = by_channel(node, grid.encode(self.graph.constants[weight]))
        if along and grid.scale.ndim:
            grid = replace(grid, axis=0, **{k: np.tile(getattr(grid, k), node.attributes["group"]) for k in ("scale", "zero")})
        counts = counting(self.dialect.accumulator(x.width.bits), x.grid, grid, len(values))
        return grid, codes, counts, self.bias(node, bias, counts)

    def bias(self, node, name, counts):
        """The codes of a bias on the grid of the accumulator; a bias on another grid is refused, and one that the register
        does not hold is dealt with as the dialect says."""
        grid, values = self.graph.grids.get(name), self.graph.constants[name]
        if grid is None:
            codes = np.asarray(values / counts.scale)
            codes = counts.encode(values, self.dialect.encode).astype(np.int64) if self.fits(node, name, codes, counts) \
                else self.forced(codes, counts)
            return codes
        scales, zeros = (np.broadcast_to(part, values.shape) for part in (grid.scale, grid.zero))
        wrong = (np.abs(scales / counts.scale - 1) > 1e-6) | (zeros != 0)
        if wrong.any():
            channel = int(np.argmax(wrong))
            raise IllFormed(f"bias {name}: channel {channel} has scale {float(scales[channel])!r} and zero point "
                            f"{int(zeros[channel])}; the products that it joins count {float(counts.scale[channel])!r} from 0: "
                            "quantize the bias on that scale")
        return grid.encode(values).astype(np.int64)

    def fits(self, node, name, codes, counts):
        beyond = (codes < counts.lo - 0.5) | (codes >= counts.hi + 0.5)
        if beyond.any() and self.dialect.bias == "refuse":
            channel = int(np.argmax(beyond))
            raise IllFormed(f"bias {name}: channel {channel} is {float(codes[channel]):.6g} times the product of the "
                            f"scales, which {counts.width} does not hold; widen the weights' scale of that channel, or take a "
                            "dialect that saturates or wraps a bias")
        return not beyond.any()

    def forced(self, codes, counts):
        whole = [round(float(c)) for c in codes]                # integers of any size
        if self.dialect.bias == "saturate":
            return np.array([min(max(c, counts.lo), counts.hi) for c in whole], np.int64)
        span = 1 << counts.width.bits
        return np.array([(c - counts.lo) % span + counts.lo for c in whole], np.int64)

    def spread(self, node, name, out):
        grid = self.grid_of(name)
        if grid.scale.ndim:
            raise Left(f"{name} has a scale for each slice")
        values = np.broadcast_to(self.graph.constants[name], (1, *self.shape(out)))[0]
        return self.constant(f"{node.name}.{name}", grid.encode(values), grid.width, grid, "weight")

    def island(self, nodes):
        """Steps for nodes that stay in float: codes to reals, the nodes, reals to codes."""
        made = {name for node in nodes for name in node.outputs}
        reads = list(dict.fromkeys(name for node in nodes for name in node.inputs if name and name not in made))
        sources = [name for name in reads if name not in self.graph.constants]
        fixed = [name for name in reads if name in self.graph.constants]
        needed = {name for node in self.graph.nodes if node not in nodes for name in node.inputs} | set(self.graph.outputs)
        results = [name for node in nodes for name in node.outputs if name in needed]
        local = {"": ""} | {name: f"x{i}" for i, name in enumerate(sources)} | {name: f"c{i}" for i, name in enumerate(fixed)}
        local |= {name: f"y{i}" for i, name in enumerate(results)}
        local |= {name: f"t{i}" for i, name in enumerate(sorted(made - set(results)))}
        called, plain = nodes[0].name, {}
        for i, name in enumerate(sources):
            plain[f"x{i}"] = self.real(name, f"{called}.{i}.real") if name in self.graph.grids else name
        given = [(f"{name}.real" if name in self.graph.grids else name, self.shape(name), None, "activation") for name in results]
        row = {"nodes": tuple((n.op, tuple(local[t] for t in n.inputs), tuple(local[t] for t in n.outputs),
                               tuple(sorted(n.attributes.items()))) for n in nodes),
               "shapes": tuple(self.shape(name) for name in sources),
               "constants": tuple(np.shape(self.graph.constants[name]) for name in fixed),
               "results": tuple(self.shape(name) for name in results)}
        self.step(f"{called}.island", "island", plain, given, {}, row,
                     **{f"c{i}": self.graph.constants[name] for i, name in enumerate(fixed)})
        for name in results:
            if name in self.graph.grids:
                self.coded(name, f"{name}.real")

    def real(self, name, result):
        grid = self.graph.grids[name]
        self.step(result, "dequantize", {"q": name}, [(result, self.shape(name), None, "activation")],
                     {"q": grid.scale}, {"q": grid.width}, **ends(grid, self.shape(name)))
        return result

    def coded(self, name, source):
        grid = self.graph.grids[name]
        self.step(name, "quantize", {"x": source}, [(name, self.shape(name), grid, "activation")],
                     {"y": grid.scale}, {"out": grid.width}, **ends(grid, self.shape(name)))


def ends(grid, shape):
    """The constants of a quantize or dequantize: one scale and zero point for each code of the last axis."""
    return {"scale": np.full(shape[-1:] or (1,), float(grid.scale)), "zp": np.full(shape[-1:] or (1,), int(grid.zero))}
