"""Which rule decides a quantizer's ties, and which arithmetic makes its quotients: found by looking at codes.

`ties` lays reals exactly on ties (and on quarters beside them) of the grid, or where the floats of `x` cannot hold a tie of its
scale, of the same grid with the nearest power of two as scale; and asks which words of refq.ints.rounding give all codes seen.
`arithmetic` asks the same of the rows of refq.ops.quantize, on reals beside ties of awkward scales.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints import quotients, rounding
from refq.testing import places

PLACES = ("after", "inside")
"""Where an integer zero point joins: what is rounded already, or what is to be rounded."""


@dataclass(frozen=True)
class Ties:
    """`rules`: names of refq.ints.rounding that give every code seen, or, where none does with the zero point joined behind it,
    "half_even, the zero point inside the rounding"; `count`: of reals looked at that lie on a tie, 0 where the grid has none;
    `witness`: where no rule does, the first real that the rule which comes nearest gets wrong."""

    rules: tuple
    count: int
    witness: str = ""

    def __str__(self):
        if not self.count:
            return "no ties: no real lies exactly between two codes"
        if self.rules:
            return " or ".join(self.rules)
        return f"none of {', '.join(rounding.names)}: {self.witness}"


def ties(quantize, grid, dtype=np.float32):
    """The Ties of quantize(x, grid) -> codes, on numbers of `dtype`."""
    form, dtype = places.affine(grid), np.dtype(dtype).type
    return of_levels(quantize, grid, dtype) if form is None else of_affine(quantize, form, dtype)


def of_affine(quantize, grid, dtype):
    """Of a grid of even steps: quarters of a step from code to code, where they are numbers of `dtype`."""
    with np.errstate(over="ignore", under="ignore"):
        quarters, reals, exact = quarters_of(grid, dtype)
        if exact[:, quarters[0] % 4 == 2].mean() < 0.5:
            grid = replace_scale(grid, np.exp2(np.clip(np.rint(np.log2(grid.scale)), -126, 127)))
            quarters, reals, exact = quarters_of(grid, dtype)
    rows, seen, place = [], [], []
    for x, q, kept in zip(*(list(places.arrays(grid, part)) for part in (reals, quarters, exact))):
        rows.append(x[kept])
        seen.append(np.asarray(quantize(x, grid)).astype(np.int64)[kept])
        place.append((q[kept], np.broadcast_to(grid.over(x.shape)[1], x.shape)[kept]))
    x, seen, q, zero = (np.concatenate(part) for part in (rows, seen, [p[0] for p in place], [p[1] for p in place]))
    made = {}
    for name in rounding.names:
        word = rounding.word(name)
        made[name, "after"] = np.clip(word(q, 2) + zero, grid.lo, grid.hi)
        made[name, "inside"] = np.clip(word(q + 4 * zero, 2), grid.lo, grid.hi)
    return judged(made, seen, x, int((q % 4 == 2).sum()))


def quarters_of(grid, dtype):
    """For each part: counts of quarters of a step, their reals as `dtype`, and whether those are exact."""
    each = []
    for part in places.parts(grid):
        here = places.codes(part)[:-1] - int(part.zero)
        here = here[2:-1] if here.size > 4 else here            # what the rails do is another law's
        each.append(np.unique(np.concatenate([4 * here + k for k in (1, 2, 3)])))
    count = max(map(len, each))
    quarters = np.array([np.resize(q, count) for q in each])
    scale = grid.scale.reshape(-1, 1)
    reals = (quarters * (scale / 4)).astype(dtype)
    bits = np.frexp(scale)[0] * 2.0 ** 53
    odd = np.array([int(b).bit_length() - ((int(b) & -int(b)).bit_length() - 1) for b in bits.ravel()]).reshape(-1, 1)
    most = np.array([[int(abs(q)).bit_length() for q in row] for row in quarters])
    exact = (odd + most <= 53) & (reals.astype(np.float64) == quarters * (scale / 4)) & (np.abs(reals) >= np.finfo(dtype).tiny)
    return quarters, reals, exact


def replace_scale(grid, scale):
    return Affine(grid.width, scale, grid.zero, grid.axis, grid.block, grid.narrow)


def of_levels(quantize, grid, dtype):
    """Of any other grid: reals that the five rules for ties do not take alike are ties."""
    words = [name for name in rounding.names if name.startswith("half")]
    rows = []
    for x in places.arrays(grid, places.places(grid, dtype)):
        by_word = np.stack([grid.encode(x.astype(np.float64), name).astype(np.int64) for name in words])
        tied = (by_word != by_word[0]).any(0)
        rows.append((x[tied], np.asarray(quantize(x, grid)).astype(np.int64)[tied], by_word[:, tied]))
    x, seen, made = (np.concatenate(part, -1) for part in zip(*rows))
    return judged({(name, "after"): codes for name, codes in zip(words, made)}, seen, x, x.size)


def judged(made, seen, x, count):
    if not count:
        return Ties((), 0)
    fits = [key for key, codes in made.items() if (codes == seen).all()]
    if fits:
        rules = [name for name, place in fits if place == "after"]
        return Ties(tuple(rules or (f"{name}, the zero point inside the rounding" for name, _ in fits)), count)
    name, place = max(made, key=lambda key: (made[key] == seen).sum())
    wrong = np.flatnonzero(made[name, place] != seen)
    i = wrong[np.argmin(np.abs(x[wrong]))]
    return Ties((), count, f"{float(x[i])!r} gets code {seen[i]}, and {name}, which comes nearest, gives {made[name, place][i]} "
                f"({len(wrong)} of {len(x)} reals)")


AWKWARD = ((0.1, 3), (float(np.float32(0.0437)), -5), (float(np.float32(1 / 3)), 17), (float(np.float32(7.3e-3)), 0))
"""Scales and zero points on which quotients of different arithmetic part."""


def arithmetic(quantize, width, rules=("half_even",)):
    """The rows of refq.ops.quantize that give every code seen of float32 numbers within the range, as texts; `quantize` is asked
    on affine grids per tensor of that `width`. An empty tuple: none does. Raises IllFormed for more than 16 bits."""
    from refq.ops import quantize as operation
    alive = [operation.Row(quotient=q, zero_point=z, ties=t, nan="lowest", out=width)
             for q, z in quotients.values for t in dict.fromkeys(r.split(",")[0] for r in rules)]
    with np.errstate(all="ignore"):
        for scale, zero in AWKWARD:
            scale, zero = np.float32(scale), int(np.clip(zero, width.lo, width.hi))
            grid = Affine(width, float(scale), zero)
            x = beside_ties(grid)
            seen = np.asarray(quantize(x, grid)).astype(np.int64)
            constants = operation.build(alive[0], float(scale), zero) if alive else {}
            zp = np.asarray(constants.get("zp", 0)).astype(width.dtype)
            alive = [row for row in alive
                     if (operation.spec(x[:, None], constants["scale"], zp, row)[:, 0] == seen).all()]
    return tuple(dict.fromkeys(f"{row.quotient} quotient, zero point {row.zero_point}, {row.ties}" for row in alive))


def beside_ties(grid):
    """float32 numbers in the range: the nearest to every tie, and three on either side."""
    if grid.width.bits > 16:
        raise IllFormed(f"quotients are told apart on at most 16 bits; these codes have {grid.width}")
    here = places.codes(grid)[:-1] - int(grid.zero)
    x = ((here + 0.5) * float(grid.scale)).astype(np.float32)
    found = [x]
    for direction in (-np.inf, np.inf):
        y = x
        for _ in range(3):
            y = np.nextafter(y, np.float32(direction))
            found.append(y)
    return np.concatenate(found)
