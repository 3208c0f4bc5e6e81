"""What the registers of normalizations reach: their specs run on intervals up to the root, and what lies behind it is known.

The largest number of a row is at most the root of its length times the root that it is divided by, so quotients have 30 bits;
roots have 31 bits and their inverses 32, whatever the radicand.
"""
from refq import ops
from refq.ints import deviation, multiplier
from refq.ints.width import I16, I32, I64, U32, Width
from refq.ops.l2_norm import DOWN, WIDTH
from refq.ops.layernorm_lstm import TEN
from refq.vectors.scoring.intervals import LONGEST, Interval

PIECES = ((Interval(185000000, (1 << 31) - 1), Interval(0, 0)), (Interval(185000000, 385000000), Interval(1, 11)))
"""(multiplier, exponent) of refq.ints.inverse_root: where the exponent is 0, and where it is not: 2**27.5 to 2**28.5."""
INVERSE, PAIRS = Interval(185000000, (1 << 31) - 1), Interval(0, 11)


def until_the_root(op, row, reach, at):
    """The sites in front of the root; there the words of refq.ints no longer take intervals."""
    try:
        if op == "group_norm":
            deviation.by_mean(at, reach["q"], reach["eps"], LONGEST, row)
        else:
            ops.load(op).spec(*reach.values(), row=row, at=at)
    except (TypeError, AttributeError, ValueError):
        pass
    return {site[0]: site[6] for site in at.seen}


def exact(op, row, reach, at):
    """layernorm_exact, group_norm and rms_norm."""
    found = until_the_root(op, row, reach, at)
    if "centred" not in found:
        return None
    root = at("root", Interval(1 << 30, (1 << 31) - 1), Width(31, False))
    by = at.divide("factor", "floor", 1 << 61, root, U32)
    most = deviation.left(1, 0, deviation.octaves(LONGEST)) - int(deviation.fraction(row.reach(LONGEST)))
    shift, x = Interval(2, most + 30), found["centred"] * by
    inside = Interval(-deviation.MOST_Z, deviation.MOST_Z) if not any(row.sums) else Interval(I64.lo, I64.hi)
    u = at.clip("u", at.note("scaled", "shift", row.ties, x, shift, I64, inside), I32)
    if "beta" not in reach:
        return at.clip("y", reach["sign"] * u, I32)
    return deviation.joined(at, u, reach["beta"], reach["sign"], reach["down"])


def l2_norm(op, row, reach, at):
    """`reach` says which exponent it is of, and the multiplier that goes with it (`pieces`)."""
    until_the_root(op, row, {k: reach[k] for k in row.takes}, at)
    mult = at("inverse", reach.get("mult", INVERSE), I32)
    d = reach["q"] - reach["zq"]
    return at.clip("y", multiplier.scaled(at, d, mult, reach.get("e", PAIRS) + DOWN, row.high, row.ties, "wrap"), WIDTH)


def pieces(reach):
    """What a row of l2_norm meets, exponent by exponent."""
    by = [(PIECES[0][0], 0), *((PIECES[1][0], e) for e in range(1, 12))]
    return [reach | {"mult": mult, "e": Interval(e, e)} for mult, e in by]


def layernorm_lstm(op, row, reach, at):
    found = until_the_root(op, row, reach, at)
    if "v" not in found:
        return None
    centred = at("centred", (reach["q"] << TEN) - found["mean"], I32)
    x = multiplier.scaled(at, centred, INVERSE, PAIRS + 31, row.high, row.ties, "wrap", "x_")
    t = at.divide("t", "half_away", at.wrap("joined", x * reach["w"] + reach["bias"], I32), 1 << TEN, I32)
    return at.clip("y", multiplier.scaled(at, t, reach["mult"], reach["shift"], row.high, row.ties, "wrap", "y_"), I16)


TRACED = {**dict.fromkeys(("layernorm_exact", "group_norm", "rms_norm"), exact), "l2_norm": l2_norm,
          "layernorm_lstm": layernorm_lstm}
"""Operation to what continues its trace: a function of (operation, row, operand to Interval, Reached)."""
