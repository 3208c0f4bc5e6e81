"""Mutants of constants that channels share out: read by another index, as another array, or with a lost left shift."""
import numpy as np

from refq.vectors.mutants.fields import PAIRS

BLOCKS = (4, 8, 16, 32)
ADDED = ("bias", "zx", "zw", "zp", "zin", "za", "zb", "zo", "zq", "beta")
"""Constants that are added or taken off, so that this can be done twice."""


def mutants(step):
    """(kind, name, phrase, local, wrap)."""
    takes = step.row.takes
    vectors = [k for k, d in takes.items() if len(d.names) == 1 and d.names[0] != "n" and k != "t"]
    groups = [("mult", "shift")] if {"mult", "shift"} <= set(vectors) else []
    for names in [*groups, *((k,) for k in vectors if k not in ("mult", "shift") or not groups)]:
        said = " and ".join(names)
        for t in BLOCKS:
            yield "slip", f"slip repeated_every({said}, {t})", f"{said} are taken by the place within a block of {t} channels", \
                False, indexed(names, lambda m, t=t: np.arange(m) % t)
            yield "slip", f"slip shared_by({said}, {t})", f"{t} channels in a row share one {said}", False, \
                indexed(names, lambda m, t=t: np.arange(m) // t)
        if len(names) > 1:
            for d in (1, -1):
                yield "slip", f"slip channels_shifted({said}, {d})", f"{said} are off by {d} channel", False, \
                    indexed(names, lambda m, d=d: (np.arange(m) + d) % max(1, m))
        yield "slip", f"slip reversed({said})", f"{said} are read from the last channel to the first", False, \
            indexed(names, lambda m: np.arange(m)[::-1])
    for name, declared in takes.items():
        if declared.names[:1] != ("n",) and name in ADDED:
            yield "slip", f"slip {name}_twice", f"{name} is applied twice", True, doubled(name)
    for name in vectors:
        width = takes[name].width
        if width.dtype.kind != "f" and width.dtype.itemsize > 1:
            for narrow in ("int8", "int16"):
                if np.dtype(narrow).itemsize < width.dtype.itemsize:
                    yield ("storage", f"{name} read: as an array of {narrow}",
                           f"{name} is declared as {narrow}: channel j reads element j of that", False, viewed(name, narrow))
        if width.dtype.itemsize == 1:
            yield "storage", f"{name} read: as an array of int16", f"{name} is read in pairs, as int16", False, widened(name)
        if width.dtype.kind != "f" and takes[name].lo < 0:
            yield "slip", f"slip {name}_negated", f"{name} has the wrong sign", True, negated(name)
    if groups and takes.get("acc") is not None and len(takes["acc"].names) == 2:
        yield "slip", "slip multiplier_by_row", "multiplier and shift are chosen by the row (modulo the channels), not by " \
            "the channel", False, by_row
    if "shift" in takes or "ma" in takes:
        for name, phrase, change in LEFT:
            yield "slip", f"slip {name}", phrase, True, shifted(change)
        if "mult" in takes or "ma" in takes:
            yield "slip", "slip multiplier_overflows", "a multiplier of 1 or more is kept without a left shift and overflows " \
                "to the lowest number", True, overflowing


def indexed(names, index):
    def wrap(run):
        def altered(operands, **how):
            return run({**operands, **{n: operands[n][index(len(operands[n]))] for n in names}}, **how)
        return altered
    return wrap


def viewed(name, narrow):
    def wrap(run):
        def altered(operands, **how):
            array = np.ascontiguousarray(operands[name])
            return run({**operands, name: array.view(narrow)[:len(array)].astype(np.int64)}, **how)
        return altered
    return wrap


def widened(name):
    """Two neighbouring bytes as one code; behind the end lie zeros."""
    def wrap(run):
        def altered(operands, **how):
            array = np.ascontiguousarray(operands[name])
            return run({**operands, name: np.concatenate([array, 0 * array]).view(np.int16).astype(np.int64)}, **how)
        return altered
    return wrap


def doubled(name):
    def wrap(run):
        def altered(operands, **how):
            value = operands[name]
            return run({**operands, name: 2 * (value.astype(np.int64) if isinstance(value, np.ndarray) else value)}, **how)
        return altered
    return wrap


def negated(name):
    def wrap(run):
        return lambda operands, **how: run({**operands, name: -operands[name].astype(np.int64)}, **how)
    return wrap


def by_row(run):
    def altered(operands, **how):
        acc = operands["acc"]
        turned = {k: np.resize(operands[k], len(acc)) for k in ("mult", "shift")}
        made = run({**operands, "acc": np.ascontiguousarray(acc.T), **turned}, **how)
        return {k: np.ascontiguousarray(v.T) for k, v in made.items()}
    return altered


def shifted(change):
    """Every shift of a multiplier, where it means a left shift (below 31)."""
    def wrap(run):
        def altered(operands, **how):
            made = {}
            for k in (shift for _, shift in PAIRS if shift in operands):
                s = np.asarray(operands[k], np.int64)
                new = np.clip(np.where(s < 31, change(s), s), 0, 62)
                made[k] = new if isinstance(operands[k], np.ndarray) else int(new)
            return run({**operands, **made}, **how)
        return altered
    return wrap


def overflowing(run):
    """mult * 2**31 of a real multiplier of 1 or more, in 32 bits that saturate the wrong way round."""
    def altered(operands, **how):
        made = {}
        for mult, shift in PAIRS:
            if mult in operands:
                large = np.asarray(operands[shift], np.int64) < 31
                m, s = np.where(large, -(1 << 31), operands[mult]), np.where(large, 31, operands[shift])
                made[mult], made[shift] = (m, s) if isinstance(operands[mult], np.ndarray) else (int(m), int(s))
        return run({**operands, **made}, **how)
    return altered


LEFT = (
    ("left_shift_lost", "where the multiplier is 1 or more the left shift is left out", lambda s: s * 0 + 31),
    ("left_shift_to_the_right", "where the multiplier is 1 or more the shift goes to the right", lambda s: 62 - s),
    ("left_shift_negated", "where the multiplier is 1 or more the left shift is by -s, taken as 32 - s", lambda s: 30 - s),
)
