"""Extremes: the exact least and greatest sum of every accumulator for the actual weights, and operands that attain them.

bounds.py proves a program before it runs, in whatever order products join. Here each register is taken as a row
declares it: the sum itself, and where the row joins products in an order, every register on the way. A product is
extreme where its activation lies at one of its ends, so one choice of codes makes a sum and all of its partial sums
extreme at once. An activation's ends are those of its width; or closer, where the step that made it cannot give
more (`reaches`). What is exact is the step by itself: whether the steps before it can give all those codes together
is not asked.
"""
from dataclasses import dataclass, replace

import numpy as np

from refq import dialects, ops
from refq.errors import IllFormed, RefqError
from refq.graph import reductions
from refq.ints.accumulate import Accumulate, join
from refq.ints.sites import Sites
from refq.ints.width import I64
from refq.machine.linear import rule_of

SUMS = ("matmul", "conv2d", "batch_matmul", "mean")
WIDE = {"width": I64, "overflow": "wrap", "into": I64}


@dataclass(frozen=True)
class Extreme:
    """Of one register of one step: `least`, `most`: what it reaches in each channel (int64 arrays); `width`: what it has;
    `source`: which codes its activations can be; `fails`: dialect to the sentence's end that says why it is too narrow
    there. `dialects`: those that were asked."""

    step: str
    op: str
    register: str
    width: object
    least: np.ndarray
    most: np.ndarray
    source: str
    fails: dict

    @property
    def lo(self):
        return int(self.least.min())

    @property
    def hi(self):
        return int(self.most.max())

    @property
    def bits(self):
        """The signed width that it needs."""
        return max(self.hi, -self.lo - 1, 0).bit_length() + 1

    def words(self):
        return {"step": self.step, "operation": self.op, "register": self.register, "width": str(self.width),
                "least": self.lo, "least_channel": int(self.least.argmin()), "most": self.hi,
                "most_channel": int(self.most.argmax()), "bits": self.bits, "activations": self.source,
                "too_narrow_in": self.fails}


def reaches(program):
    """Tensor to (lo, hi, which step bounds it, or None): the codes that it can hold."""
    found = {name: (t.width.lo, t.width.hi, None) for name, t in program.tensors.items()}
    for step in program.steps:
        for operand, name in step.outputs.items():
            declared, width = step.row.gives[operand], program.tensors[name].width
            lo, hi = tightened.get(step.op, declares)(program, step, found, declared)
            found[name] = int(lo), int(hi), step.name if (lo, hi) != (width.lo, width.hi) else None
    return found


def declares(program, step, found, declared):
    return declared.lo, declared.hi


def clipped(program, step, found, declared):
    lo, hi = (int(program.constants[step.inputs[k]]) for k in ("lo", "hi"))
    return [min(max(end, lo), hi) for end in found[step.inputs["q"]][:2]]


def looked_up(program, step, found, declared):
    first, last, _ = found[step.inputs["q"]]
    entries = program.constants[step.inputs["t"]][first - step.row.q.lo:last - step.row.q.lo + 1]
    return entries.min(), entries.max()


def moved(program, step, found, declared):
    ends = [(int(c.min()), int(c.max())) if (c := program.constants.get(t)) is not None and c.size else found[t][:2]
            for t in step.inputs.values()]
    return min(lo for lo, _ in ends), max(hi for _, hi in ends)


tightened = {"clip": clipped, "table": looked_up, "arrange": moved}


class Sums:
    """A step that sums products, or codes: its terms, extreme one by one, where they are summed."""

    def __init__(self, program, step, found):
        self.program, self.step, self.op, self.row = program, step, step.op, step.row
        self.live = "q" if step.op == "mean" else "x"
        self.ends = found[step.inputs[self.live]]
        self.other = found[step.inputs["w"]] if step.op == "batch_matmul" else None
        zero = self.number("zq" if step.op == "mean" else "zx")
        self.x = np.array(self.ends[:2], np.int64) - zero
        shape = program.tensors[step.inputs[self.live]].shape
        self.bias = np.zeros(1, np.int64)
        if step.op == "mean":
            self.w = np.ones((1, shape[-2]), np.int64)
        elif step.op == "batch_matmul":
            ends = np.array(self.other[:2], np.int64) - self.number("zw")
            best = [min(np.ndindex(2, 2), key=lambda p: sign * self.x[p[0]] * ends[p[1]]) for sign in (1, -1)]
            self.corners = best
            self.w = np.stack([np.full(shape[-1], ends[j]) for _, j in best])
        else:
            w = program.constants[step.inputs["w"]].astype(np.int64)
            w = w - program.constants[step.inputs["zw"]].astype(np.int64).reshape(-1, *[1] * (w.ndim - 1))
            self.w, self.bias = w.reshape(len(w), -1), program.constants[step.inputs["bias"]].astype(np.int64)

    def number(self, operand):
        return int(self.program.constants[self.step.inputs[operand]])

    def places(self):
        """(place, mask of taps that are not padding) for each kind of window; of all but conv2d there is one."""
        if self.op != "conv2d":
            return [((), np.ones(self.w.shape[1], bool))]
        height, width, _ = self.program.tensors[self.step.inputs["x"]].shape
        _, kh, kw, d = self.program.constants[self.step.inputs["w"]].shape
        oh, ow = self.program.tensors[self.step.outputs["acc"]].shape[:2]
        (sy, sx), (dy, dx), (top, left, _, _) = self.row.stride, self.row.dilation, self.row.padding
        rows = kinds(oh, lambda o: [0 <= o * sy - top + k * dy < height for k in range(kh)])
        columns = kinds(ow, lambda o: [0 <= o * sx - left + k * dx < width for k in range(kw)])
        return [((oy, ox), np.repeat(np.outer(r, c).reshape(-1), d)) for r, oy in rows.items() for c, ox in columns.items()]

    def terms(self, mask, most):
        """(m taps): the extreme products."""
        if self.other is not None:
            i, _ = self.corners[most]
            return self.w[most][None] * self.x[i] * mask
        ends = self.w * self.x[0], self.w * self.x[1]
        return (np.maximum if most else np.minimum)(*ends) * mask

    def registers(self, rule):
        """Name to [least, most] of each register that `rule` has, over all places: int64 (m)."""
        found = {}
        for _, mask in self.places():
            for most, better in ((0, np.minimum), (1, np.maximum)):
                terms = self.terms(mask, most)
                for name, values in peaks(terms, self.bias + np.zeros(len(terms), np.int64), rule, better).items():
                    ends = found.setdefault(name, [None, None])
                    ends[most] = values if ends[most] is None else better(ends[most], values)
        return found


def kinds(count, mask):
    """Each different mask, and the first place that has it."""
    found = {}
    for place in range(count):
        found.setdefault(tuple(mask(place)), place)
    return found


def peaks(terms, start, rule, better):
    """The furthest that each register comes where every term is extreme: name to int64 (m)."""
    if rule.order == "exact":
        return {"acc": start + terms.sum(1)}
    found = {}

    class Peak(Sites):
        def __call__(self, name, value, width):
            found[name] = better(found[name], value) if name in found else np.array(value)
            return value

    wide = replace(rule, **WIDE)
    join(lambda k: terms[:, k], terms.shape[1], wide, start, Peak())
    return found


def extremes(program, named=()):
    """Every Extreme of a Program, in the order of its steps; `named`: the dialects that are asked whether the register is
    wide enough there (names, .toml files or values), by default all that refq has.

    Raises IllFormed for a dialect that does not exist.
    """
    asked = [d if hasattr(d, "roles") else dialects.load(d) for d in named or dialects.names()]
    found = reaches(program)
    for step in program.steps:
        if step.op not in SUMS:
            if reductions.reduces(step):
                fails = {d.name: why for d in asked if (why := reductions.narrow(program, step, found, d))}
                for name, width, least, most, source in reductions.extremes(program, step, found):
                    yield Extreme(step.name, step.op, name, width, least, most, source, fails)
            continue
        sums = Sums(program, step, found)
        plain = Accumulate(overflow="refuse", width=step.row.acc)
        rule = rule_of(step.row) if step.op != "mean" else step.row.accumulate or plain
        fails = {d.name: why for d in asked if (why := narrow(sums, d))}
        for name, (least, most) in sums.registers(rule).items():
            yield Extreme(step.name, step.op, name, width_of(rule, name), least, most, said(program, sums), fails)


def width_of(rule, register):
    return rule.result if register == "acc" else rule.into if register == "spilled" else rule.width


def said(program, sums):
    """Which codes the activations can be."""
    names = [sums.live] + (["w"] if sums.other is not None else [])
    parts = []
    for name, (lo, hi, by) in zip(names, (sums.ends, sums.other)):
        tensor = program.tensors[sums.step.inputs[name]]
        parts.append(f"{lo}..{hi} by {by}" if by else f"every {tensor.width}")
    return " and ".join(parts)


def narrow(sums, dialect):
    """Why a dialect's register is too narrow for a step, or None."""
    bits = sums.program.tensors[sums.step.inputs[sums.live]].width.bits
    role = dialect.roles.get(sums.op)
    if role is None or bits > max(dialect.accumulators):
        return None                     # the dialect does not do this at all
    register = dialect.accumulator(bits)
    rule = getattr(role.row, "accumulate", None) or Accumulate(overflow="refuse", width=register)
    for name, (least, most) in sums.registers(rule).items():
        width = width_of(rule, name)
        if least.min() < width.lo or most.max() > width.hi:
            need = max(int(most.max()), -int(least.min()) - 1, 0).bit_length() + 1
            return f"its {name} of {width} would need {need} bits, and it {rule.overflow}s"
    return None


def witnesses(program, name):
    """What attains the extremes of a step's sum: {"least": {operand: codes}, "most": ...}, run by the step's kernel to see
    that it does. `x` is (m taps) for matmul, (m kh kw d) with `place` (m 2) for conv2d, where padding holds the zero point;
    of batch_matmul `x` and `w` are (1 k), of mean `q` is (1 r). Raises IllFormed where no step that sums has that name."""
    step = next((s for s in program.steps if s.name == name), None)
    products = step is not None and step.op in SUMS
    if step is not None and not products and reductions.reduces(step):
        return reductions.witnesses(program, step, reaches(program))
    if not products:
        raise IllFormed(f"{name!r} is no step that sums; refq bounds lists those")
    sums, given = Sums(program, step, reaches(program)), {}
    for most, label in enumerate(("least", "most")):
        ends = np.array(sums.ends[:2])
        if sums.other is not None:
            i, j = sums.corners[most]
            taps = sums.w.shape[1]
            given[label] = {"x": np.full((1, taps), ends[i]), "w": np.full((1, taps), np.array(sums.other[:2])[j])}
        else:
            choice = (sums.w > 0) == bool(most)
            x = np.where(choice, ends[1], ends[0])
            given[label] = {sums.live: x}
            if step.op == "conv2d":
                given[label] |= placed(sums, x, most)
        check(sums, given[label], most, label)
        for operand in given[label].keys() - {"place"}:
            width = program.tensors[step.inputs[operand]].width
            given[label][operand] = given[label][operand].astype(width.dtype)
    return given


def placed(sums, x, most):
    """The best window of each channel: its place, and the codes in it."""
    totals = [sums.terms(mask, most).sum(1) for _, mask in sums.places()]
    best = (np.argmax if most else np.argmin)(np.stack(totals), 0)
    masks = np.stack([mask for _, mask in sums.places()])[best]
    shape = sums.program.constants[sums.step.inputs["w"]].shape
    places = np.array([place for place, _ in sums.places()])[best]
    return {"x": np.where(masks, x, sums.number("zx")).reshape(shape), "place": places}


def check(sums, codes, most, label):
    """Run the operation itself on a witness, channel by channel, in a register that holds all."""
    reached = sums.registers(Accumulate(overflow="wrap", width=I64))["acc"][most]
    row, program, step = sums.row, sums.program, sums.step
    row = replace(row, acc=I64, accumulate=None)
    if sums.op == "conv2d":
        row = replace(row, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1)
    run, axes = ops.load(sums.op).kernel(row), {name: len(d.names) for name, d in row.takes.items()}
    for channel in range(len(reached)):
        operands = []
        for name, declared in row.takes.items():
            value = codes.get(name, program.constants.get(step.inputs[name]))
            if axes[name] == 0:
                operands.append(int(value))
                continue
            array = value[channel:channel + 1].astype(declared.width.dtype)
            operands.append(np.ascontiguousarray(array.reshape(one(sums.op, name, array))))
        acc = np.empty([1] * len(row.gives["acc"].names), np.int64)
        run(*operands, acc)
        if acc.item() != reached[channel]:
            raise RefqError(f"step {step.name}: the {label} of channel {channel} is {reached[channel]} by its terms and "
                            f"{acc.item()} by the kernel; this is a fault of refq itself")


def one(op, name, array):
    """The shape of a single row (one channel) of an operand."""
    if op == "batch_matmul":
        return 1, 1, array.shape[-1]
    return (1, array.shape[-1], 1) if op == "mean" else array.shape
