"""Proofs by enumeration: every input, where there are few."""
import numpy as np

from refq.vectors.diagnosis.place import by_spec
from refq.vectors.scoring.equivalent.constants import sample

MOST = 16
"""Bits of all operands that differ from case to case, where all their codes are tried."""


def enumerated(domain, mutant):
    """Every code of every operand at the given constants, where one element of the result is made of one of each."""
    takes = {k: d for k, d in domain.row.takes.items() if d.joins}
    fixed = any(domain.step.inputs[k] in domain.program.constants for k in takes)
    alone = not fixed and all(not d.whole and d.names[1:] in ((), ("c",)) for d in takes.values())
    if domain.free or not mutant.local or not alone or sum(d.width.bits for d in takes.values()) > MOST:
        return None
    axes = np.meshgrid(*(np.arange(d.lo, d.hi + 1) for d in takes.values()), indexing="ij")
    operands = sample(domain)
    for (name, declared), axis in zip(takes.items(), axes):
        codes = axis.reshape(-1).astype(declared.width.dtype)
        channels = len(domain.constants["mult" if "mult" in domain.constants else "scale"]) if len(declared.names) == 2 else 0
        operands[name] = np.ascontiguousarray(np.repeat(codes[:, None], channels, 1)) if channels else codes
    run = by_spec(domain.step.op, domain.row)
    with np.errstate(all="ignore"):
        true, false = run(operands), mutant.around(run)(operands)
    count = len(axes[0].reshape(-1))
    return f"all {count} inputs give the same" if all(np.array_equal(true[k], false[k]) for k in true) else None
