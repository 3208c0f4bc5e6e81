"""Proofs for codes in bytes: layouts take every code apart from every other, so that few lines of codes stand for all.

A mutant that alters codes, or what is kept of them, one by one makes each byte the bits of some codes joined, as the
operation does. Then it is right everywhere if it is where one place of a unit holds any code, and all other places any one
other: a bit too many would show beside the codes that have a 0 there, and one too few beside those that have it. Of bytes
that are read every bit is read from one byte: it is right everywhere if it is where all bytes are any one byte, or all fields
any one field.
"""
import numpy as np

from refq.vectors.diagnosis.place import by_spec

OPS = ("pack_codes", "unpack_codes")
WHOLE = ("pitch_ignored(y, ", "pitch_invented(y, ", "channels_lost(y, ", "row_tail_lost(j, ", "row_tile_leaks(j, ")
SHORTER = ("tail_lost(j, ", "tile_leaks(j, ")
ALTERED = ("field", "row", "storage")
"""Kinds of mutants that alter codes one by one."""


def codewise(domain, mutant):
    """Why a mutant of such an operation is no bug, or None."""
    row, name = domain.row, mutant.name.removeprefix("slip ")
    if name.startswith(WHOLE) and row.unit % int(name.rpartition(" ")[2].rstrip(")")) == 0:
        return f"a line is a whole number of units of {row.unit} bytes"
    if name.startswith(SHORTER):
        return "lines of other lengths give results of other shapes: where it would change one it cannot run"
    if name.startswith("tail_lost(k, ") and int(name.rpartition(" ")[2].rstrip(")")) % row.per == 0:
        return f"lines end at a multiple of {row.per} codes then, the bytes of a unit are missing, and it cannot run"
    if name == "straddling_code_cut" and not straddles(row):
        return "no code of this row straddles two words"
    if name == "sign_not_extended" and not row.x.signed:
        return "codes of this row have no sign"
    if mutant.kind not in ALTERED or name.endswith("pairs_swapped"):      # pairs may lie in two units
        return None
    (operand, codes), = (lines if domain.step.op == "pack_codes" else reads)(row)
    run = by_spec(domain.step.op, row)
    true, made = run({operand: codes}), mutant.around(run)({operand: codes})
    same = all(np.array_equal(true[k], made[k]) for k in true)
    return f"any code in any place of a unit gives the same ({len(codes)} lines)" if same else None


def straddles(row):
    wide = 32 if row.unit % 4 == 0 else 8
    first = row.line.bits[:, 0] % wide
    return bool((first + row.x.bits > wide).any())


def lines(row):
    """One line for any code in any place, and any other code in all others."""
    declared = row.takes["x"]
    codes = np.arange(declared.lo, declared.hi + 1)
    one, place, rest = (a.reshape(-1) for a in np.meshgrid(codes, np.arange(row.per), codes, indexing="ij"))
    made = np.repeat(rest[:, None], row.per, 1)
    made[np.arange(len(made)), place] = one
    return (("x", np.ascontiguousarray(made, declared.width.dtype)),)


def reads(row):
    """A unit of every byte, and of every field."""
    every = np.repeat(np.arange(256)[:, None], row.unit, 1)
    fields = row.line.placed(np.repeat(np.arange(1 << row.x.bits)[:, None], row.per, 1))
    return (("y", np.concatenate([every, fields]).astype(np.uint8)),)
