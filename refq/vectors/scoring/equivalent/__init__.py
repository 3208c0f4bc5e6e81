"""Which mutants are no bugs: proofs that a change leaves every result as it is, each of them a sentence.

Three judges, in this order. Algebra: the spec never reads the altered field, or rounds in a way that the field commutes
with. Intervals: the spec run on ranges (intervals.py) shows that a register never leaves the narrower width, that what
it clips ends at the same rail, or that a rounding never meets what its words differ in. Enumeration: where the domain
is small, every input. A search that found nothing proves nothing: `reason` gives None then, and the mutant is named.

The domain is what the rows declare: all codes of an operand, all constants unless they are given, axes of at most
intervals.LONGEST, and only programs that Program.prove admits.
"""
import re
from dataclasses import replace

import numpy as np

from refq.ints.sites import unwatched
from refq.vectors.diagnosis.place import by_spec
from refq.vectors.mutants.altered import Altered
from refq.vectors.mutants.smallest import smallest
from refq.vectors.scoring.equivalent import blocked, packed
from refq.vectors.scoring.equivalent.codewise import ALTERED, OPS, codewise
from refq.vectors.scoring.equivalent.constants import operands_alike, unchanged
from refq.vectors.scoring.equivalent.domain import Domain
from refq.vectors.scoring.equivalent.enumerated import enumerated
from refq.vectors.scoring.equivalent.rows import row_alike, unread
from refq.vectors.scoring.equivalent.sites import site_idle

MOVES = ("table", "arrange", "gather", "embed", "append")
LEFT = ("slip left_shift_lost", "slip left_shift_to_the_right", "slip left_shift_negated", "slip multiplier_overflows")
TERMS = ("correction: zw", "correction: zz", "w - zw ", "zero points of padding", "zw forgotten")
"""Mutants of terms that are 0, or of differences that fit, where weights have no zero point."""
PAIRED = ("slip channels_lost(y, 2)", "slip row_tail_lost(d, 2)", *(f"slip row_tile_leaks(d, {t})" for t in (2, 4, 8, 16, 32)))
"""Mutants of tails of a head, which is two deep for each pair, and for what lies behind which the tables have no entry."""


BITS = {"matmul_two_four": "meta read: sign_invented", "matmul_bitmap": "bits read: sign_invented"}
PATTERNS = ("dequantize_minifloat", "dequantize_blocks")
"""Operations whose codes are bit patterns."""
QUADS = ("slip pitch_ignored(x, 4)", "slip pitch_invented(x, 4)")
TILED = ("slip tile_offset_lost", "slip later_tiles_lost")
BROAD = ("slip partial_block_lost", "slip columns_of_codes")
"""Mutants of what sparse weights say of their places, and of rows of quads."""
COUNTED = ("slip channels_shifted(turns, 1)", "slip channels_shifted(turns, -1)", "slip reversed(turns)")
"""Mutants of the order of thresholds."""


def reason(program, places, free):
    """Why a mutant is no bug in any of `places`, pairs (run of steps, the mutant there), as a sentence, or None. `free`:
    constants may be any that the row takes, and one place says it for all; otherwise they are those of `program`."""
    said = None
    for run, mutant in places[:1 if free else None]:
        # in a unit weights, and what lies between its steps, have no zero point (draw/configuration.py)
        zeros = ("zw", *(("zin",) if mutant.place else ())) if free and len(run) > 1 else ()
        domain = Domain(program, run[mutant.place], free, zeros)
        if not mutant.wrap or not (said := without_zero_point(domain, mutant) or proof(domain, mutant)):
            return None
    return said


def proof(domain, mutant):
    """The first judge's sentence, or None."""
    try:
        how = captured(mutant, domain.step)
    except (ValueError, IndexError, TypeError, KeyError):
        return None
    if said := fixed(domain, how, mutant):
        return said
    if domain.step.op in ("conv2d", "conv_transpose2d") and mutant.name.startswith(("slip tail_lost(c,", "slip tile_leaks(c,")):
        return "images and filters have no longer as many channels: where it would change something it cannot run"
    if domain.step.op in OPS and ((said := codewise(domain, mutant)) or mutant.kind in ALTERED):
        return said                     # the spec reads its row by way of a line: what it reads there is not watched
    if domain.step.op in blocked.OPS and (said := blocked.nothing(domain.step.op, domain.row, mutant.name)):
        return said
    if domain.step.op in PATTERNS and mutant.name.endswith(" read: sign_invented"):
        return "codes are bit patterns: two's complement has the same bits"
    if mutant.name == BITS.get(domain.step.op):
        return "words are read bit by bit: whether the highest is a sign is not looked at"
    if domain.step.op == "matmul_two_four" and mutant.name in QUADS:
        return "rows are whole quads: their length is a multiple of 4"
    if domain.step.op == "matmul_blocks" and not domain.row.tile and mutant.name in TILED:
        return "under this row there are no tiles"
    if domain.step.op == "matmul_blocks" and domain.row.block[1] == 1 and mutant.name in BROAD:
        return "blocks of one column do not reach over an edge, and are counted as codes are"
    if domain.step.op == "recode" and mutant.name in COUNTED:
        return "thresholds are counted, in whatever order they come"
    if domain.step.op == "softmax_masked" and (isinstance(how["at"], Altered) or how["row"] != domain.row):
        if how["row"] != replace(domain.row, row=how["row"].row):
            return None
        domain, how = domain.inside(), how | {"row": how["row"].row}        # its sites and fields are those of the softmax
    if domain.step.op == "rope" and mutant.name in PAIRED:
        return "a head is two deep for each pair: it has no tail of 2, and what reads on behind it has no entry in the tables"
    if domain.step.op in packed.STATED and (said := packed.nothing(domain.step.op, domain.row, mutant.name, TERMS)):
        return said
    if mutant.kind in ("term", "geometry"):         # what they do to the sum does not show in how they call the run
        return unchanged(domain, mutant) or enumerated(domain, mutant)
    if mutant.kind == "slip":
        return unread(domain, how, mutant) or unchanged(domain, mutant)
    moved = domain.step.op in MOVES or domain.step.op == "recode" and mutant.name.startswith("codes ")
    if moved and mutant.name.endswith((" read: sign_lost", " read: sign_invented")):
        return "codes are moved as they are: the low bits that are written do not change"
    if mutant.kind == "storage" or how["operands"] is not how["given"]:
        return operands_alike(domain, mutant) or enumerated(domain, mutant)
    if isinstance(how["at"], Altered):
        return site_idle(domain, how["at"]) or enumerated(domain, mutant)
    return row_alike(domain, how["row"]) or enumerated(domain, mutant)


def fixed(domain, how, mutant):
    """Operands that are one number under this row, which the mutant moves about or reads otherwise and leaves as they are."""
    if mutant.name in LEFT and "shift" in domain.row.takes and domain.row.takes["shift"].lo >= 31:
        return "under this row no multiplier shifts to the left"
    still = [k for k, d in domain.row.takes.items() if d.names and d.width.dtype.kind != "f" and d.lo == d.hi]
    named = [k for k in still if re.search(rf"\b{k}(\b|_)", mutant.name)]
    if not named or mutant.kind not in ("slip", "storage") or how["row"] != domain.row or how["at"] is not unwatched:
        return None
    same = all(np.array_equal(v, how["given"][k]) for k, v in how["operands"].items())
    return f"under this row {' and '.join(named)} is always {domain.row.takes[named[0]].lo}" if same else None


def without_zero_point(domain, mutant):
    """A mutant that only changes what is 0: a zero point that a unit does not have, or a term that holds it."""
    for name in domain.zeros:
        said = f"in a unit {'weights' if name == 'zw' else 'registers'} have no zero point"
        if name == "zw" and mutant.name.startswith(TERMS):
            return said
        if re.match(rf"(slip )?{name}[_ ]|slip \w+\({name}[,)]", mutant.name):
            given, calls = ones(domain.row) | {name: 0 * ones(domain.row)[name]}, []

            def run(operands, row=domain.row, at=unwatched, given=given, calls=calls):
                calls.append((operands, row, at))
                return by_spec(domain.step.op, domain.row)(given)
            try:
                mutant.around(run)(given)
            except (ValueError, IndexError, TypeError, KeyError):
                continue
            if all(np.array_equal(v, given[k]) for operands, row, at in calls for k, v in operands.items()) and all(
                    (row, at) == (domain.row, unwatched) for _, row, at in calls):
                return said
    return None


def captured(mutant, step):
    """How a mutant calls the run that it wraps: the operands, the row and the sites that it passes."""
    given, found = ones(step.row), {}

    def run(operands, row=step.row, at=unwatched):
        found.update(operands=operands, row=row, at=at, given=given, truth=by_spec(step.op, step.row)(given))
        return found["truth"]
    result = mutant.around(run)(given)
    return found | {"result": result}


def ones(row):
    """The smallest operands of a row, of codes that are not 0 where they may be 1: to drop one changes it."""
    made = {}
    for name, codes in smallest(row).items():
        one = min(max(1, row.takes[name].lo), row.takes[name].hi)
        made[name] = np.full_like(codes, one) if isinstance(codes, np.ndarray) else type(codes)(one)
    return made
