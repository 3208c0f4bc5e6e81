"""What the registers of products in packed words reach, over the declared domain (axes of LONGEST), and which of their slips are
none under a row.

Specs of these operations take words apart bit by bit, which intervals do not follow; what a field holds follows from its row.
"""
import re

from refq.ints.fields import drain_of
from refq.ints.lanes import joined
from refq.ints.width import I48, I64, Width
from refq.vectors.scoring.intervals import LONGEST, Interval


def register(name, interval, width):
    return name, "register", "", interval, None, width, interval


def wrapping(name, interval, width):
    """A register of that width; one of 64 bits wraps before anybody looks."""
    kept = interval if interval.inside(width) else Interval(width.lo, width.hi)
    return name, "wrap", "", kept if width.bits == 64 else interval, None, width, kept


def of_matmul_packed(row):
    lanes, summed = row.lanes, row.summed
    codes = Interval(*(joined([end + lanes.offset] * row.fields, row.apart) for end in lanes.code))
    product = codes * Interval(row.x.lo, row.x.hi)
    spread = Interval(*(joined([end] * row.fields, row.spread) for end in lanes.product))
    added = min(row.drain, LONGEST)
    drained, total = (Interval(*(end * times for end in lanes.product)) for times in (added, LONGEST))
    return [register("packed", codes, Width(row.port) if row.port else row.word), wrapping("product", product, row.word),
            wrapping("spread", spread, row.sums), wrapping("sum", spread * Interval(1, added), row.sums),
            register("drained", with_nothing(drained), summed.held), register("lifted", with_nothing(total), I64),
            register("acc", Interval(row.acc.lo, row.acc.hi), row.acc)]


def of_matmul_ulppack(row):
    low, middle = row.parts
    both = low.most + (middle.most << row.apart)
    one = both + (low.most << 2 * row.apart)
    kept = both if row.word.bits == 2 * row.apart else one          # of two fields the top one falls out, whole
    drain, block = min(row.drain, LONGEST // 2), min(row.block, LONGEST)
    up = row.apart * (row.taken == "masked")
    drained = drain * middle.most
    held = -(-block // (2 * drain)) * drained
    return [register("packed_x", Interval(0, row.x.hi * (1 + (1 << row.apart))), Width(row.apart + row.x.bits, False)),
            register("packed_w", Interval(0, row.w.hi * (1 + (1 << row.apart))), Width(row.apart + row.w.bits, False)),
            wrapping("product", Interval(0, one), row.word), wrapping("sum", Interval(0, kept * drain), row.word),
            register("middle", Interval(0, drained << up), row.into), wrapping("held", Interval(0, held << up), row.into),
            register("total", Interval(0, LONGEST // 2 * middle.most), I64),
            register("acc", Interval(row.acc.lo, row.acc.hi), row.acc)]


def of_matmul_dsp48(row):
    x, w = Interval(0, row.x.hi), Interval(row.w.lo, row.w.hi)
    left, right = x * (1 + (1 << row.x_apart)), w * (1 + (1 << row.w_apart))
    astray = Interval(-1, 1) if row.correction != "full" else Interval(0, 0)
    field = x * w + (Interval(-1, 1))
    carry = Interval(0, sum(1 << place for place in row.starts[1:]))
    return [register("packed_x", left, Width(18)), register("packed_w", right, Width(27)), register("product", left * right, I48),
            register("carry", carry, I48), wrapping("carried", left * right + carry, I48),
            wrapping("field", field, Width(row.bits)), register("repaired", x * w, Width(row.bits)),
            register("total", with_nothing((x * w + astray) * Interval(LONGEST, LONGEST)), I64),
            register("acc", Interval(row.acc.lo, row.acc.hi), row.acc)]


def with_nothing(interval):
    return Interval(min(interval.lo, 0), max(interval.hi, 0))


STATED = {"matmul_packed": of_matmul_packed, "matmul_ulppack": of_matmul_ulppack, "matmul_dsp48": of_matmul_dsp48}


def emptied_in_time(op, row, name):
    """Why emptying words at other times changes nothing, or None."""
    fits, each = (row.summed.drain, 1) if op == "matmul_packed" else (drain_of(row.parts), 2)
    longest = LONGEST // each
    if name in ("slip drained_too_late", "slip drained_half_as_often") and longest <= fits:
        return f"no sum of at most {LONGEST} products fills a field"
    if name == "slip drained_half_as_often" and 2 * row.drain <= fits:
        return f"fields hold {fits} products, and twice as many as the row empties them after are {2 * row.drain}"
    if name == "slip word_goes_on" and longest <= row.drain:
        return f"no sum of at most {LONGEST} products is emptied twice"
    if name == "slip last_drain_lost" and row.drain * each == 1:
        return "words are emptied after each product: nothing is left at the end"
    return None


def nothing(op, row, name, terms):
    """Why a mutant changes nothing under this row, as a sentence, or None; `terms`: beginnings of names of those that change what
    a zero point of weights makes."""
    if name.startswith(terms) and row.takes["zw"].lo == row.takes["zw"].hi == 0:
        return "weights of this row have no zero point"
    if name == "slip sign_not_repaired" and row.sign == "bias" and not row.lanes.offset:
        return "no code of w is negative: nothing borrows, and nothing is lifted"
    if name == "slip products_not_repaired" and row.sign == "bias":
        return "with codes lifted to 0 and up no product is negative: nothing borrows"
    if op != "matmul_dsp48" and (reason := emptied_in_time(op, row, name)):
        return reason
    if op == "matmul_ulppack" and (cut := re.fullmatch(r"site (product|sum): wraps at u(\d+)", name)):
        return "nobody reads what lies above the middle field" if int(cut[2]) >= 2 * row.apart else None
    if name.endswith(" keeps its lowest code when negated"):
        if not row.x.signed:
            return "no code of x is negative: the sign of none is moved onto w"
        return "w leaves out its lowest code" if "product: w " in name and row.takes["w"].lo > row.w.lo else None
    if cut := re.fullmatch(r"sum before the bias \w+ at (\d+)", name):
        w, zero = row.takes["w"], row.takes["zw"]
        most = LONGEST * (row.x.hi - row.x.lo) * max(w.hi - zero.lo, zero.hi - w.lo)
        return f"no sum of at most {LONGEST} products leaves {cut[1]} bits" if most < 1 << int(cut[1]) - 1 else None
    return None
