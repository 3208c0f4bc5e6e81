"""What sites reach of operations whose specs do not run on intervals, over the declared domain (axes of LONGEST).

`STATED`: operation to a function of (row) that lists sites as intervals.Reached notes them, where sums are exact; `RAILS`:
operation to the sites behind which a register saturates or is cut, and a function of (row) that gives the least width which
changes nothing there;
`STORED`: sites of which the low bits are stored, and nothing else is read; `SHIFTED`: sites that are read by the shift behind
them, and by nothing else; `HELD`: operations whose rows refuse sums that their register does not hold; `WHOLE`: sites that wrap
and are read whole, so that wider ones show; `ARGUMENTS`: operations whose field `store` is not about the result; `FALLING`:
operations that round nothing but distances from a largest code.
"""
from refq.ints.slopes import GUARD, LEAST, MOST
from refq.ints.width import I8, I16, I32, I64, U8, Width
from refq.ops.softmax_streaming import MOST as HALVINGS
from refq.ops.softmax_streaming import ONE
from refq.vectors.scoring.intervals import LONGEST, Interval


def of_layernorm_fqvit(row):
    x = (row.q.hi - row.q.lo) << 3
    steepest = (1 << 31 - LEAST) * 66                       # the root of LONGEST, and a bit: see slopes.registers
    slope, a = Interval(0, 1 << 62), max((1 << row.bits + GUARD) - 1, steepest << GUARD)
    b = (MOST << 31) + a * (x << GUARD) >> 16
    wide = b + x * ((1 << row.bits) - 1)
    # A * (x - mean) is at most the root of LONGEST times gamma; what M leaves out is that of the mean, which lies within twice
    # the reach of the least factor, where a deviation is at least that factor over the root of LONGEST, or within two deviations
    scaled = (MOST >> 16) + x * ((1 << row.bits) - 1) + (row.q.hi - row.q.lo) * 2 * steepest + 2
    code, mean = Interval(row.out.lo - scaled, row.out.hi + scaled), Interval(-x << GUARD, x << GUARD)
    return [("a", "shift", "floor", slope, Interval(7, 63), I32, Interval(0, a)),
            ("m", "clip", "", Interval(0, a >> GUARD), None, Width(row.bits, False), Interval(0, (1 << row.bits) - 1)),
            ("mean", "divide", "floor", Interval(-x * LONGEST << GUARD, x * LONGEST << GUARD), None, I32, mean),
            ("b", "shift", row.ties, Interval(I64.lo, I64.hi), Interval(16, 16), I64, Interval(-b, b)),
            ("wide", "register", "", Interval(-wide, wide), None, I64, Interval(-wide, wide)),
            ("scaled", "shift", row.ties, Interval(-wide, wide), Interval(0, 31), I64, Interval(-scaled, scaled)),
            ("y", "clip", "", code, None, row.out, Interval(row.out.lo, row.out.hi))]


def of_log_int_softmax(row):
    most = row.gives["p"].hi
    return [("place", "register", "", Interval(0, 62), None, I8, Interval(0, 62)),
            ("below", "register", "", Interval(0, 1), None, I8, Interval(0, 1)),
            ("p", "register", "", Interval(0, most), None, I16, Interval(0, most))]


def of_softmax_streaming(row):
    total, shares = Interval(ONE, min(row.acc.hi, LONGEST * ONE)), Interval(0, row.peak)
    kept = Interval(0, total.hi)
    return [("kept", "shift", "floor", kept, Interval(0, HALVINGS), row.acc, kept),
            ("total", "register", "", total, None, row.acc, total),
            ("inverse", "divide", "floor", Interval(row.peak * ONE, row.peak * ONE), total, U8, shares),
            ("share", "shift", "floor", shares, Interval(0, HALVINGS), U8, shares)]


def of_softmax_tosa(row):
    """The reciprocal is at most 2**30, and a sum of 1 has 31 leading zeros."""
    share, code = Interval(0, I32.hi), Interval(0, 1 << 10)
    return [("share", "shift", "half_up", Interval(0, I32.hi << 30), Interval(30, 30), I32, share),
            ("scaled", "shift", row.ties, share, Interval(4, 34), I16, code)]


def of_codes(first, second):
    """What is kept of a code, or its field, and the bytes or codes that come of it."""
    def stated(row):
        field, codes = Interval(0, (1 << row.x.bits) - 1), row.line.codes
        out, width = (Interval(0, 255), U8) if second == "y" else (Interval(row.line.lo, row.line.hi), codes)
        kept = Interval(row.line.lo - 1, row.line.hi) if row.stored.startswith("minus") else Interval(row.line.lo, row.line.hi)
        narrow = Width(row.x.bits, False)
        made = (first, "wrap", "", kept, None, narrow, field) if first == "kept" else (first, "register", "", field, None, narrow,
                                                                                      field)
        return [made, (second, "register", "", out, None, width, out)]
    return stated


STATED = {"pack_codes": of_codes("kept", "y"), "unpack_codes": of_codes("field", "x"),
          "layernorm_fqvit": of_layernorm_fqvit, "log_int_softmax": of_log_int_softmax,
          "softmax_streaming": of_softmax_streaming, "softmax_tosa": of_softmax_tosa}
RAILS = {("gelu_hard", "scaled"): lambda row: row.out.hi - row.out.lo, ("softmax_tosa", "scaled"): lambda row: 1 << row.out.bits,
         ("softmax_base2", "exact"): lambda row: (row.n << row.fraction) - 1,
         ("layernorm_fqvit", "scaled"): lambda row: 1 + max(row.out.hi - row.out.lo, -row.out.lo),
         ("shiftgelu_int32", "rest_k"): lambda row: max(row.n, 32 - row.n),
         ("log_int_softmax", "inverse"): lambda row: 3 << row.deepest - 1}
STORED = (("softmax_streaming", "share"),)
SHIFTED = {("softmax_tosa", "share"): "scaled"}
HELD = ("softmax_base2",)
WHOLE = (("shiftgelu_int32", "total"), ("shiftgelu_int32", "product"), ("layernorm_lstm", "joined"),
         *(("ilayernorm_int32", site) for site in ("total", "d", "squares", "product")))
ARGUMENTS = ("softmax_table16",)
FALLING = ("softmax_streaming",)
