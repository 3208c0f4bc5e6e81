"""Shards: a range of a domain, proved wherever a worker runs it; what comes back is small and says what was met.

What is compared with what: the compiled kernel of refq (or a device's) with the spec in NumPy, on every input. Where
there are more than `SMALL` accumulators of a rescale, the spec would take minutes: then the kernel meets the thresholds
(thresholds.py) on every input, and the thresholds meet the spec on one block of `SAMPLED` and on both sides of every
change of the code (up to `CHANGES` a block).
"""
from dataclasses import dataclass
from time import thread_time

import numpy as np

from refq import ops
from refq.errors import RefqError
from refq.ints.jit import sources
from refq.vectors.prove.domain import Domain
from refq.vectors.prove.thresholds import rescaled

SMALL = 1 << 24
CHUNK, SWEPT, DEVICE = 1 << 18, 1 << 26, 1 << 20
BLOCK, LANES, SAMPLED, CHANGES = 1 << 16, 64, 256, 1024


@dataclass(frozen=True)
class Job:
    """The inputs start ... stop - 1 of a domain; `kernel`: the path of a kernel.toml, or None for refq's own; `sources`:
    the digest of the refq that asks, where the worker may have another."""

    domain: Domain
    start: int
    stop: int
    kernel: str | None
    sources: str | None


@dataclass(frozen=True)
class Outcome:
    """`met`: inputs compared (up to the first difference, and with it); `by_spec`: those on which the spec itself ran;
    `seconds` of a processor that the worker took (a device's own not counted); `difference`: None, or the first one:
    number, input, expected, got."""

    met: int
    by_spec: int
    seconds: float
    difference: dict | None = None


def by_thresholds(domain):
    """Is the domain so large that thresholds stand for the spec?"""
    return domain.op == "rescale" and domain.total > SMALL


def jobs(domain, kernel=None, elsewhere=False):
    """The shards of a domain, in order; `elsewhere`: for workers that may have another refq."""
    size = DEVICE if kernel else SWEPT if by_thresholds(domain) else max(CHUNK, SMALL >> 4)
    size = max(1, size // domain.inner) * domain.inner
    asks = sources() if elsewhere else None
    return [Job(domain, start, min(start + size, domain.total), kernel, asks) for start in range(0, domain.total, size)]


def prove(job):
    """The Outcome of a Job; raises RefqError where this worker runs another refq than the one that asks."""
    if job.sources not in (None, sources()):
        raise RefqError("a worker runs another refq than this one, so it would prove something else; install the same "
                        "sources there")
    started = thread_time()
    met, by_spec, difference = (swept if by_thresholds(job.domain) else compared)(job)
    return Outcome(met, by_spec, thread_time() - started, difference)


def compared(job):
    """The kernel and the spec on every input of the shard."""
    domain = job.domain
    size = job.stop - job.start if job.kernel else max(1, CHUNK // domain.inner) * domain.inner
    for start in range(job.start, job.stop, size):
        stop = min(start + size, job.stop)
        expected = spec(domain, start, stop)
        for got in subject(job, domain.operands(start, stop)):
            if difference := first(domain, start, stop - start, got, expected):
                met = difference["number"] + 1 - job.start
                return met, met, difference
    return job.stop - job.start, job.stop - job.start, None


def spec(domain, start, stop):
    """The spec on a range, a chunk at a time: name to (inputs, codes of one)."""
    size = max(1, CHUNK // domain.inner) * domain.inner
    parts = []
    for at in range(start, stop, size):
        end = min(at + size, stop)
        parts.append({k: y.reshape(end - at, -1) for k, y in domain.spec(domain.operands(at, end)).items()})
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def subject(job, operands):
    """What is proved, on these operands: the results, of a device those of both its runs."""
    if not job.kernel:
        return [job.domain.kernel(operands)]
    from refq.vectors.prove.device import outputs
    return outputs(job.domain, job.kernel, operands)


def swept(job):
    """The kernel and the thresholds on every accumulator of the shard, and the spec on some of them."""
    domain, by_spec = job.domain, 0
    filled, lo = rescaled(domain.row, domain.constants), domain.row.takes["acc"].lo
    given, block = (calls(job), job.stop - job.start) if job.kernel else (in_lanes(domain), BLOCK)
    expected = np.empty(block, domain.row.out.dtype)
    for start in range(job.start, job.stop, block):
        filled(lo + start, expected)
        for got in given(start):
            if not np.array_equal(got.reshape(-1), expected):
                difference = first(domain, start, block, {"y": got}, {"y": expected})
                return difference["number"] + 1 - job.start, by_spec, difference
        places = sampled(expected, start // BLOCK)
        true = by_the_spec(domain, lo + start + places)
        if not np.array_equal(true, expected[places]):
            raise RefqError(f"rescale: thresholds and spec differ at accumulator "
                            f"{lo + start + int(places[np.argmax(true != expected[places])])}; this is a fault of refq itself")
        by_spec += len(places)
    return job.stop - job.start, by_spec, None


def by_the_spec(domain, accumulators):
    """The codes of these accumulators (count)."""
    if not len(accumulators):
        return accumulators
    return ops.load(domain.op).spec(accumulators[:, None], **domain.constants, row=domain.row).reshape(-1)


def sampled(codes, block):
    """The places of some codes at which the spec runs; `block`: the number of the first block among them."""
    changes = np.flatnonzero(codes[1:] != codes[:-1])[:CHANGES * max(1, len(codes) // BLOCK)]
    if not len(changes) and -block % SAMPLED >= len(codes) // BLOCK:
        return changes
    chosen = np.zeros(len(codes), bool)
    chosen[changes] = chosen[changes + 1] = True
    chosen.reshape(-1, BLOCK)[-block % SAMPLED::SAMPLED] = True
    return np.flatnonzero(chosen)


def calls(job):
    """given(start): what both runs of the device's kernel give for the rest of the shard."""
    return lambda start: [results["y"] for results in subject(job, job.domain.operands(start, job.stop))]


def in_lanes(domain):
    """given(start): what the kernel gives for a block of accumulators, laid out in channels: it does many at a time."""
    takes = domain.row.takes
    acc = np.empty((BLOCK // LANES, LANES), domain.row.acc.dtype)
    y, kernel = np.empty(acc.shape, domain.row.out.dtype), ops.load(domain.op).kernel(domain.row)
    ramp = np.arange(BLOCK, dtype=acc.dtype).reshape(acc.shape)
    constants = {k: np.repeat(v, LANES) if np.ndim(v) else v for k, v in domain.constants.items()}
    operands = [acc if name == "acc" else constants[name] for name in takes]

    def given(start):
        np.add(ramp, takes["acc"].lo + start, out=acc)
        kernel(*operands, y)
        return [y]
    return given


def first(domain, start, count, got, expected):
    """The first input at which results differ, or None."""
    differs = np.zeros(count, bool)
    for name, y in got.items():
        differs |= (y.reshape(count, -1) != expected[name].reshape(count, -1)).any(1)
    if not differs.any():
        return None
    at = int(np.argmax(differs))
    said = {side: {name: plain(y.reshape(count, -1)[at]) for name, y in results.items()}
            for side, results in (("expected", expected), ("got", got))}
    return {"number": start + at, "input": domain.input(start + at), **said}


def plain(codes):
    return codes.tolist() if codes.size > 1 else codes.item()
