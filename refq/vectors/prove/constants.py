"""Constants of a domain: several sets by construction, or the ones that are stated.

Rescales and additions are built from scales by the row's own way of making multipliers: one that makes ties, one of
31 bits without pattern, one that uses all of the accumulator, and one above 1 (a left shift); zero points at both rails
and between, and biases of products likewise. Tables and softmaxes have no scale that says as much: their constants lie
at both ends of what the operation takes, and between, even in magnitude.
"""
from math import prod

import numpy as np

from refq import ops
from refq.errors import IllFormed, nearest
from refq.vectors.prove.domain import varied

SEED = 20


def of(row):
    """The operands that a domain has to be given: name to declaration."""
    live = varied(row)
    return {name: d for name, d in row.takes.items() if name not in live}


def shape(declared, row, sizes):
    """Of a constant: its free axes have their size; a table has one entry for each code."""
    table = next((d for name, d in row.takes.items() if name in varied(row)), None)
    return tuple(sizes.get(a, table.hi - table.lo + 1 if a == "i" else 1) for a in declared.names)


def built(op, row, sizes):
    """The sets of constants that refq proves by itself: a list of dicts."""
    if not of(row):
        return [{}]
    module = ops.load(op)
    if "acc" in row.takes and "zin" in row.takes and "zp" in row.takes:
        made = rescales(module, row)
    elif "zo" in row.takes and "sa" in row.takes:
        made = additions(module, row)
    elif "zx" in row.takes:
        made = products(row, sizes)
    else:
        made = drawn(row, sizes)
    return [{name: held(value, of(row)[name], row, sizes) for name, value in constants.items()} for constants in made]


def rescales(module, row):
    acc, out = row.takes["acc"], row.takes["zp"]
    full = (out.hi - out.lo) / (acc.hi - acc.lo) * 0.73     # all of the accumulator is on the output's grid, and then some
    sets = ((2.0 ** -6, 0, 0), (0.0007312, 0, out.lo), (full, 0, out.hi), (5.37, min(acc.hi, 3), out.hi // 2))
    if getattr(row, "multiplier", "") == "pow2":
        sets = ((2.0 ** -6, 0, 0), (2.0 ** -16, 0, out.lo), (4.0, 0, out.hi // 2))
    return possible(module.build, row, [((scale,), 1.0, zin, zp) for scale, zin, zp in sets])


def additions(module, row):
    a, b, out = (row.takes[k] for k in ("za", "zb", "zo"))
    sets = ((0.5, 0, 0.25, 0, 0.5, 0), (0.0371, a.hi // 3, 0.0122, b.lo // 2, 0.0415, out.lo // 7),
            (0.9, a.lo, 0.011, b.hi, 1.7, out.hi), (0.011, a.hi, 0.9, b.lo, 0.3, out.lo))
    if getattr(row, "multiplier", "") == "pow2":
        sets = ((0.5, 0, 0.5, 0, 0.5, 0), (0.25, a.hi // 3, 0.25, b.lo // 2, 0.5, out.lo // 7))
    return possible(module.build, row, sets)


def products(row, sizes):
    """Zero points at rails and between; biases at the rails of the accumulator, or where the row refuses an overflow, as
    near to them as no sum leaves it."""
    x, w = row.takes["x"], row.takes["w"]
    taps = prod(sizes.get(a, 1) for a in w.names if a in w.whole)
    rule = getattr(row, "accumulate", None)
    refuses = rule is None or rule.overflow == "refuse"
    for zx, zw, share in ((0, 0, 0), (x.hi // 3, 0, 1), (x.lo, w.hi // 2, -1), (x.hi, w.lo, 0.3)):
        most = taps * max(x.hi - zx, zx - x.lo) * max(w.hi - zw, zw - w.lo) if refuses else 0
        if most > row.acc.hi:
            continue
        bias = int((row.acc.hi - most) * share) if row.acc.bits < 54 or share in (0, 1, -1) else 0
        constants = {"zx": zx, "zw": zw, "bias": bias}
        yield {name: constants[name] for name in of(row)}


def possible(build, row, sets):
    """What can be built of these, and lies within what the operation takes."""
    for numbers in sets:
        try:
            constants = build(row, *numbers)
        except IllFormed:
            continue
        if all(row.takes[k].lo <= np.min(v) and np.max(v) <= row.takes[k].hi for k, v in constants.items()):
            yield constants


def drawn(row, sizes):
    """Both ends of every range, and twice something between."""
    rng = np.random.default_rng(SEED)
    yield {k: d.lo for k, d in of(row).items()}
    yield {k: d.hi for k, d in of(row).items()}
    for _ in range(2):
        yield {k: magnitudes(rng, d, shape(d, row, sizes)) for k, d in of(row).items()}


def magnitudes(rng, declared, shape):
    """Codes of all magnitudes; floats likewise."""
    if declared.width.dtype.kind == "f":
        return np.clip(np.ldexp(rng.uniform(0.5, 1, shape), rng.integers(-12, 6, shape)), declared.lo, declared.hi)
    bits = rng.integers(0, max(abs(declared.lo), declared.hi).bit_length(), shape, endpoint=True)
    values = rng.integers(0, 2 ** 63 - 1, shape, np.int64, endpoint=True) >> (63 - bits)
    return np.clip(np.where(rng.integers(0, 2, shape) == 1, values, -values), declared.lo, declared.hi)


def held(value, declared, row, sizes):
    """A constant as the operation takes it: an array of one element on every axis that is not free, or a number."""
    if not declared.names:
        return np.asarray(value, declared.width.dtype)[()] if declared.width.dtype.kind == "f" else int(value)
    value = np.asarray(value, declared.width.dtype)
    return np.ascontiguousarray(np.broadcast_to(value, shape(declared, row, sizes)))


def stated(texts, op, row, sizes):
    """Sets as a user writes them, "mult=1518500250 shift=38 zp=-3": zero points that are not named are 0."""
    return [one(text, op, row, sizes) for text in texts]


def one(text, op, row, sizes):
    wanted, given = of(row), {}
    for part in text.replace(",", " ").split():
        name, _, number = part.partition("=")
        where = f"--constants {text!r}"
        if name not in wanted:
            known = nearest(name, tuple(wanted)) if wanted else "it has none"
            raise IllFormed(f"{where}: {op} takes no constant {name!r}: {known}")
        declared = wanted[name]
        try:
            value = float(number) if declared.width.dtype.kind == "f" else int(number, 0)
        except ValueError:
            raise IllFormed(f"{where}: {part!r}; write {name}= and a number") from None
        if not declared.lo <= value <= declared.hi:
            raise IllFormed(f"{where}: {name} is {number}; allowed is {declared.lo} to {declared.hi}")
        given[name] = value
    given = {k: 0 for k, d in wanted.items() if k[0] == "z" and d.lo <= 0 <= d.hi} | given
    if lacking := [name for name in wanted if name not in given]:
        raise IllFormed(f"--constants {text!r}: no {lacking[0]}; {op} takes {', '.join(wanted)}")
    return {name: held(given[name], wanted[name], row, sizes) for name in wanted}


def words(constants):
    """A set as text; of an array that is not of one number its size is told."""
    said = []
    for name, value in constants.items():
        array = np.asarray(value)
        number = array.reshape(-1)[0].item() if array.size else 0
        alike = array.size and (array == array.reshape(-1)[0]).all()
        said.append(f"{name}={number}" if alike else f"{name}=<{array.size} codes>")
    return " ".join(said)
