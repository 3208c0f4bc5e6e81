"""Proofs by the operands: misread codes, multipliers of another form and slips that change nothing at given constants."""
import numpy as np

from refq.ints.sites import unwatched
from refq.ints.width import I16
from refq.vectors.diagnosis.place import by_spec
from refq.vectors.mutants.fields import PAIRS
from refq.vectors.scoring.intervals import LONGEST, Interval


def operands_alike(domain, mutant):
    """A misread operand whose codes are the same both ways: none is negative, or the constants do not change."""
    operand = mutant.name.split(" ")[0]
    if mutant.name.endswith(" written: high_byte_lost"):
        places = domain.step.op == "argmax" or getattr(domain.row, "shows", "") == "places"
        result = Interval(0, LONGEST - 1) if places else domain.trace()[1]
        return f"the result stays within {result}: 16 bits hold it" if result and result.inside(I16) else None
    if mutant.kind == "storage" and "sign_lost" in mutant.name and domain.reach[operand].lo >= 0:
        return f"no code of {operand} is negative"
    if mutant.kind == "storage":
        return unchanged(domain, mutant) if operand in domain.constants else None
    return multipliers_alike(domain, mutant)


def multipliers_alike(domain, mutant):
    """Multipliers of another form that stand for the same real numbers, applied with one rounding to the nearest."""
    form, row = mutant.name.partition("=")[2], domain.row
    if domain.free and getattr(row, "multiplier", "") == "pow2" and (form in ("mantissa24", "truncated") or "half" in row.ties):
        return "multipliers of this row are powers of two, which this form holds exactly"
    if getattr(row, "high", "") != "none" or "half" not in row.ties or not form:
        return None
    if domain.free:
        acc = getattr(row, "acc", None)
        narrow = acc is None or acc.bits <= 32
        return ("a multiplier of up to 31 bits is the same real number in this form; below 2**-32, where it is flushed, "
                "no result reaches a half, and the row rounds once") if form in ("q31", "dyadic") and narrow else None
    return unchanged(domain, mutant, real=True)


def unchanged(domain, mutant, real=False):
    """Are the constants the same to a mutant that looks at nothing else? Other operands are drawn, none like another."""
    if domain.free:
        return None
    step, given = domain.step, sample(domain)
    calls = []

    def run(operands, row=step.row, at=unwatched):
        calls.append((operands, row, at))
        calls.append(by_spec(step.op, step.row)(given))
        return calls[-1]
    try:
        result = mutant.around(run)(given)
    except (ValueError, IndexError):
        return None
    if len(calls) != 2 or calls[0][1] != step.row or calls[0][2] is not unwatched:
        return None
    if not all(np.array_equal(result[k], y) for k, y in calls[1].items()):
        return None
    same = {k: np.array_equal(v, given[k]) for k, v in calls[0][0].items()}
    if real:
        same |= {m: True for m, s in PAIRS if m in given and same_reals(calls[0][0], given, m, s)}
        same |= {s: True for m, s in PAIRS if m in given and same_reals(calls[0][0], given, m, s)}
    return "with these constants and sizes it changes no operand" if all(same.values()) else None


def same_reals(changed, given, mult, shift):
    pairs = [[(int(m), int(s)) for m, s in zip(np.atleast_1d(o[mult]), np.atleast_1d(o[shift]))] for o in (changed, given)]
    return all(a << t == b << s for (a, s), (b, t) in zip(*pairs))


def sample(domain):
    """Operands of a step: its constants, and codes that differ from place to place."""
    made = {}
    for name, declared in domain.row.takes.items():
        tensor = domain.step.inputs[name]
        if name in domain.constants:
            codes = domain.constants[name]
            made[name] = codes if declared.names else codes[()].item()
        else:
            shape = domain.program.tensors[tensor].shape
            span = declared.hi - declared.lo + 1
            codes = (np.arange(3 * int(np.prod(shape, dtype=int))) * 7919 % span + declared.lo).reshape(3, *shape)
            made[name] = declared.view(np.ascontiguousarray(codes, declared.width.dtype))
    return made
