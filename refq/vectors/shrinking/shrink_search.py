"""Search: a kernel is asked again and again, and what still fails is kept (delta debugging, Zeller and Hildebrandt 2002).

Fewer rows and channels, zeros for codes, the sum without the zeros, smaller codes. Zeros leave a sum only where the kernel
gives the same wrong code without them, so that its own demands on K do not pass for the mistake; where there is a bias, it
takes over what they added, so that a mistake that needs one certain sum lasts.
"""
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from refq.errors import RefqError
from refq.vectors.kernels.judge import judge
from refq.vectors.kernels.kernel import device
from refq.vectors.shrinking.excerpt import cut, neutral
from refq.vectors.units import Unit

TRIES = 200                     # a kernel is asked so often at most
SINGLY = 64                     # so many codes of a tensor are made smaller one by one; more of them all at once


@dataclass(frozen=True)
class Failure:
    """A wrong element: of which tensor, where, what should be there and what the device gave."""

    tensor: str
    place: tuple
    expected: int
    got: int


class Search:
    """The smallest Excerpt found so far (`best`) on which the kernel fails, and how (`failure`)."""

    def __init__(self, kernel, ex, progress):
        self.kernel, self.best, self.failure, self.tries, self.progress = kernel, ex, None, 0, progress

    def better(self, ex, same=False):
        """Does the kernel fail on this one too (with `same`, with the same code in place of the same)? Then it is the best."""
        if self.tries >= TRIES:
            return False
        self.tries += 1
        failure = asked(self.kernel, ex)
        if self.progress:
            self.progress(self.tries)
        if failure is None or same and (failure.got, failure.expected) != (self.failure.got, self.failure.expected):
            return False
        self.best, self.failure = ex, failure
        return True

    def run(self):
        size = None
        while size != (size := weight(self.best)) and self.tries < TRIES:
            for axis in [a for a in self.best.axes if not a.whole and not a.fixed]:
                self.fewer(*min(axis.slots))
            for axis in [a for a in self.best.axes if a.whole]:
                self.shorter(*min(axis.slots))
            self.smaller()

    def fewer(self, tensor, dim):
        """Keep the wrong element's place of an axis; else those up to it; else as few as can be."""
        base = self.best
        axis = base.axis(tensor, dim)
        places = list(range(base.size(axis)))
        if len(places) < 2:
            return
        at = next((self.failure.place[d] for t, d in sorted(axis.slots) if t == self.failure.tensor), 0)
        if self.better(cut(base, axis, [at])) or at and self.better(cut(base, axis, places[:at + 1])) and at < 2:
            return
        places = places[:self.best.size(self.best.axis(tensor, dim))]
        least(places, lambda keep: self.better(cut(base, axis, keep)))

    def shorter(self, tensor, dim):
        """Give the inputs zeros along an axis that is read whole, then the constants there; then leave the zeros out."""
        base = self.best
        axis = base.axis(tensor, dim)
        places = list(range(base.size(axis)))
        if len(places) < 2 or not any(t in base.codes for t, _ in axis.slots):
            return
        alive = least(places, lambda keep: self.better(absorbed(base, zeroed(base, axis, keep, base.codes), self.failure.place)),
                      none=True)
        if len(alive) == len(places):
            return
        self.better(zeroed(self.best, axis, alive, self.best.program.constants))
        if axis.fixed:
            return
        base, idle = self.best, [p for p in places if p not in alive]

        def without(kept):
            return bool(alive or kept) and self.better(cut(base, axis, sorted([*alive, *kept])), same=True)
        least(idle, without, none=True)

    def smaller(self):
        """Every code nearer to zero, as near as can be."""
        for name in [*self.best.codes, *(n for n in self.best.program.constants if weighs(self.best, n))]:
            zero = neutral(self.best, name)
            wide = self.best.array(name).astype(np.int64) - zero
            if np.count_nonzero(wide) > SINGLY:
                while (wide := toward_zero(wide)).any():
                    if not self.better(self.best.holding(name, (zero + wide).astype(zero.dtype))):
                        break
                continue
            for place in map(tuple, np.argwhere(wide)):
                for value in nearer(int(wide[place])):
                    array = self.best.array(name).copy()
                    array[place] = int(zero[place]) + value
                    if self.better(self.best.holding(name, array)):
                        break


def weight(ex):
    """How much of an excerpt there is: codes, those that are not zero, and how far they are from it."""
    arrays = {n: ex.array(n).astype(np.int64) - neutral(ex, n) for n in [*ex.codes, *ex.program.constants] if weighs(ex, n)}
    return tuple(sum(int(f(a)) for a in arrays.values()) for f in (np.size, np.count_nonzero, lambda a: np.abs(a).sum()))


def weighs(ex, name):
    return name in ex.codes or ex.program.tensors[name].role in ("weight", "bias")


def toward_zero(wide):
    return np.sign(wide) * (np.abs(wide) // 2)


def nearer(value):
    """Numbers from 0 up to half of `value`, each about twice the one before, with its sign."""
    found = []
    while value:
        value = int(toward_zero(np.int64(value)))
        found.append(value)
    return found[::-1]


def zeroed(ex, axis, alive, names):
    """The same where the tensors of these names add nothing at the places of an axis that are not alive."""
    for name, dim in sorted(axis.slots):
        if name in names and weighs(ex, name):
            array, zero = ex.array(name), neutral(ex, name)
            here = np.isin(np.arange(array.shape[dim]), alive).reshape([-1 if d == dim else 1 for d in range(array.ndim)])
            ex = ex.holding(name, np.where(here, array, zero))
    return ex


def absorbed(before, after, place):
    """`after` with a bias that makes up for what the wrong element's row has lost; without a bias, `after` itself."""
    step = before.steps[0]
    if "bias" not in step.inputs or step.inputs["bias"] not in before.program.constants:
        return after
    (acc,), name = step.outputs.values(), step.inputs["bias"]
    row, bias = place[:before.truth()[acc].ndim - 1], before.array(name)
    lost = before.truth()[acc][row].astype(np.int64) - after.truth()[acc][row]
    made = bias + lost
    declared = step.row.takes["bias"]
    fitting = declared.lo <= made.min() and made.max() <= declared.hi
    return after.holding(name, made.astype(bias.dtype)) if fitting else after


def least(items, works, none=False):
    """A small part of `items` (delta debugging) for which `works` still holds, as it does for all; with `none`, perhaps no
    item."""
    if none and works([]):
        return []
    parts = 2
    while len(items) > 1:
        size = -(-len(items) // parts)
        chunks = [items[i:i + size] for i in range(0, len(items), size)]
        rests = [[x for x in items if x not in chunk] for chunk in chunks] if len(chunks) > 2 else []
        found = next((part for part in [*chunks, *rests] if works(part)), None)
        if found is not None:
            items, parts = found, 2 if found in chunks else max(2, len(chunks) - 1)
        elif size == 1:
            break
        else:
            parts = min(len(items), 2 * parts)
    return items


def asked(kernel, ex):
    """The Failure of a kernel on an excerpt, or None: where it is right, and where it cannot be judged."""
    golden, unit = [ex.codes | ex.truth()], Unit(ex.program, ex.steps)
    with TemporaryDirectory(prefix="refq-shrink-") as folder, suppress(RefqError):
        for verdict in judge(golden, device(kernel, unit, golden, Path(folder)), unit, 0).verdicts:
            if verdict.pack.wrong:
                return failure_of(verdict.tensor, verdict.pack.first[0])
    return None


def failure_of(tensor, first):
    return Failure(tensor, tuple(first["place"]), first["expected"], first["got"])
