"""Prove: every input of an operation under a dialect's row, on refq's kernel or on a device's."""
from dataclasses import dataclass, fields, replace
from time import perf_counter

from refq import dialects, ops
from refq.dialects.base import Dialect
from refq.errors import IllFormed, Unsupported, nearest
from refq.ints.row import plain, restored, stated
from refq.ints.width import Width
from refq.vectors.draw.configuration import link
from refq.vectors.prove import constants as sets
from refq.vectors.prove.domain import Domain, count, free_axes, groups
from refq.vectors.prove.executors import cluster, here
from refq.vectors.prove.shards import SMALL, by_thresholds, jobs
from refq.vectors.prove.shards import prove as prove_shard

LARGEST = 1 << 32
TRIVIAL = 1 << 20


@dataclass
class Proof:
    """What was proved. `parts`: for each set of constants, in order: constants as text, inputs, those met, those on which
    the spec itself ran, the first difference or None. `seconds`: on the clock; `busy`: of processors."""

    op: str
    dialect: str
    role: str
    row: object
    sizes: dict
    subject: str
    against: str
    workers: int
    parts: list
    seconds: float = 0.0
    busy: float = 0.0

    @property
    def difference(self):
        return next((part["difference"] for part in self.parts if part["difference"]), None)

    @property
    def passed(self):
        return self.difference is None

    @property
    def met(self):
        return sum(part["met"] for part in self.parts)

    def json(self):
        return {"passed": self.passed, "operation": self.op, "dialect": self.dialect, "role": self.role,
                "row": plain(self.row), "shape": self.sizes, "subject": self.subject, "against": self.against,
                "inputs": self.met, "workers": self.workers, "seconds": round(self.seconds, 3),
                "processor_seconds": round(self.busy, 3), "constants": self.parts}

    def __str__(self):
        about = f"{self.op} ({self.role} of {self.dialect})" + "".join(f", {a}={s}" for a, s in self.sizes.items() if s > 1)
        rate = f"{self.seconds:.1f} s, {self.met / max(self.seconds, 1e-9):.2g}/s on {self.workers} " \
               f"worker{'s' * (self.workers != 1)}"
        lines = [f"{self.subject} == {self.against}", f"{about}"]
        for part in self.parts:
            lines.append(f"  {part['inputs']:15,} inputs  {part['constants'] or 'no constants'}")
        if self.passed:
            return "\n".join([f"PROVED: {self.met:,} inputs, 0 differences, {rate}", *lines])
        wrong, part = self.difference, self.parts[-1]
        lines += ["first difference, after " + f"{wrong['number']:,} inputs that agree",
                  f"  constants  {part['constants'] or 'none'}",
                  *(f"  {k:9s}  {v}" for k, v in wrong["input"].items()),
                  *(f"  {k:9s}  {wrong['got'][k]}, expected {wrong['expected'][k]}" for k in wrong["expected"]
                    if wrong["got"][k] != wrong["expected"][k])]
        return "\n".join([f"WRONG: input {wrong['number']:,} of {part['inputs']:,} differs, {rate}", *lines])


def prove(op, dialect="tflite", shape=None, widths=None, constants=(), kernel=None, workers=2, scheduler=None, progress=None):
    """The Proof that a kernel equals the spec on the whole input domain, or the first input on which it does not.

    `op`: an operation or a role of `dialect` (a name, a .toml file or a value), or `operation:row`, a row that it publishes.
    `shape`: sizes of the axes that a result reads whole (k, c, r), by default 2 where that is at most 2**24 inputs, and 1;
    `widths`: fields of the row that tensors decide ({"x": "i4"}); `constants`: texts as in "mult=1518500250 shift=38 zp=-3",
    by default several sets by construction (one of more than 2**24 inputs that the spec has to meet); `kernel`: a kernel.toml,
    whose kernel is proved in place of refq's own; `workers`: processes; `scheduler`: the address of a dask scheduler, in place
    of them; `progress(met, of)` is told how many more inputs were met, of how many.

    Every input is met by the kernel and by the spec, but for rescale with more than 2**24 accumulators: there by the
    kernel and by thresholds (refq/vectors/prove/thresholds.py), and by the spec at samples. `Proof.against` says which.
    Raises IllFormed for a domain of more than 2**32 inputs for each set of constants, and for what is not there.
    """
    dialect = dialect if isinstance(dialect, Dialect) else dialects.load(dialect)
    op, role, row = played(op, dialect)
    row = narrowed(op, row, widths or {})
    sizes = shaped(op, row, shape or {})
    admit(op, row, sizes)
    chosen = sets.stated(constants, op, row, sizes) if constants else sets.built(op, row, sizes)
    domains = [Domain(op, row, sizes, one) for one in chosen]
    if not constants and domains[0].total > SMALL and not by_thresholds(domains[0]):
        domains = domains[-1:]                                      # the spec takes minutes for each
    subject = "the kernel of refq"
    if kernel:
        from refq.vectors.prove.device import ready
        kernel = ready(kernel)
        subject = f"the kernel of {kernel}"
    elif workers > 1 and not scheduler:
        domains[0].kernel(domains[0].operands(0, domains[0].inner))     # compiled once, not in every worker
    whose = dialect.name if role in dialect.roles else "its published rows"
    proof = Proof(op, whose, role, row, sizes, subject, "the spec", workers, [])
    small = not kernel and sum(d.total for d in domains) <= TRIVIAL
    started = perf_counter()
    with cluster(scheduler) if scheduler else here(workers, small) as (executor, proof.workers):
        todo = [(i, job) for i, domain in enumerate(domains) for job in jobs(domain, kernel, scheduler is not None)]
        run(domains, todo, executor, proof, progress)
    proof.seconds = perf_counter() - started
    if by_thresholds(domains[0]):
        spec = sum(part["by_spec"] for part in proof.parts)
        proof.against = f"its rules by thresholds, which are compared with the spec on {spec:,} of them"
    return proof


def run(domains, todo, executor, proof, progress):
    """Shards run in any order and are merged in theirs: the first difference is the first, whatever the schedule."""
    total = sum(domain.total for domain in domains)
    futures = [(i, executor.submit(prove_shard, job)) for i, job in todo]
    for i, future in futures:
        outcome = future.result()
        if i == len(proof.parts):
            proof.parts.append({"constants": sets.words(domains[i].constants), "inputs": domains[i].total, "met": 0,
                                "by_spec": 0, "difference": None})
        part = proof.parts[i]
        part["met"] += outcome.met
        part["by_spec"] += outcome.by_spec
        proof.busy += outcome.seconds
        if progress:
            progress(outcome.met, total)
        if outcome.difference:
            part["difference"] = outcome.difference
            for _, other in futures:
                other.cancel()
            return


def played(name, dialect):
    """(operation, role, row) of a role's or an operation's name; or of `operation:name`, a row that its file publishes."""
    if name in dialect.roles:
        return dialect.roles[name].op, name, dialect.roles[name].row
    if ":" in name:
        return link(name, dialect).op, name.partition(":")[2], link(name, dialect).row
    roles = {role: part for role, part in dialect.roles.items() if part.op == name}
    if not roles:
        if name in ops.names() and (rows := ops.published(name)):
            raise IllFormed(f"{name!r} plays no role in dialect {dialect.name}; ask for one of its published rows, "
                            f"{', '.join(f'{name}:{said}' for said in rows)}")
        known = tuple(dict.fromkeys((*dialect.roles, *(p.op for p in dialect.roles.values()))))
        why = f"plays no role in dialect {dialect.name}" if name in ops.names() else "is no operation and no role"
        raise IllFormed(f"{name!r} {why}: {nearest(name, known)}")
    rows = {str(part.row): role for role, part in roles.items()}
    if len(rows) > 1:
        raise IllFormed(f"{name!r} plays {' and '.join(rows.values())} in dialect {dialect.name}, under different rows: write "
                        "the one that is meant")
    role, part = next(iter(roles.items()))
    return part.op, role, part.row


def narrowed(op, row, widths):
    """The row with other widths, where tensors decide them."""
    known = [f.name for f in fields(row) if f.metadata.get("decided")]
    for name, text in widths.items():
        if name not in known:
            whose = "the dialect's own: prove a dialect that has it" if name in stated(type(row)) else "not one of its fields"
            raise IllFormed(f"--row {name}={text}: {name} is {whose}; tensors decide {', '.join(known) or 'none'} of {op}")
    return replace(row, **{name: restored(object, text, getattr(row, name)) for name, text in widths.items()})


def shaped(op, row, shape):
    """The size of each free axis."""
    free = free_axes(row)
    if strange := [axis for axis in shape if axis not in free]:
        raise IllFormed(f"--shape {strange[0]}={shape[strange[0]]}: {op} has no such axis to give a size; there are "
                        f"{', '.join(free) or 'none'}")
    if wrong := [axis for axis, size in shape.items() if size < 1]:
        raise IllFormed(f"--shape {wrong[0]}={shape[wrong[0]]}: at least 1 is needed")
    whole = {axis for d in row.takes.values() for axis in d.whole}
    two = {axis: 2 if axis in whole else 1 for axis in free} | shape
    return two if count(row, two) <= SMALL else dict.fromkeys(free, 1) | shape


def admit(op, row, sizes):
    """Refuses what has no domain, or too large a one, with what is possible instead."""
    if hasattr(row, "moves"):
        raise Unsupported(f"{op}: it moves codes and computes none, and what goes where is a step's own: nothing to prove")
    total = count(row, sizes)
    if total <= LARGEST:
        return
    less = []
    if smaller := {a: 1 for a, s in sizes.items() if s > 1}:
        less.append("a smaller shape (--shape " + " --shape ".join(f"{a}={s}" for a, s in smaller.items()) + ": "
                    f"{count(row, sizes | smaller):,})")
    names = [n for along in groups(row).values() for n in along if hasattr(row, n)]
    for bits in (32, 24, 16, 8, 4):
        narrow = {n: str(Width(min(bits, getattr(row, n).bits), getattr(row, n).signed)) for n in names}
        if narrow and (inputs := count(narrowed(op, row, narrow), sizes)) <= LARGEST:
            less.append("narrower codes (" + " ".join(f"--row {n}={w}" for n, w in narrow.items()) + f": {inputs:,})")
            break
    raise IllFormed(f"{op}: {total:,} inputs; up to {LARGEST:,} are met one by one: take {' or '.join(less)}")


