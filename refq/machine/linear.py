"""Sums of products with zero points and a bias: the inside of matmul, batch_matmul and conv2d kernels.

    acc[n, m] = bias[m] + sum over k of (x[n, k] - zx) * (w[m, k] - zw[m])      joined as an Accumulate says

Where order cannot matter (nothing saturates on the way, nothing is spilled) this is a dot product of the codes, and the
zero points are taken out by the sums of rows, only where they are not 0. Unsigned codes that fill their container are
moved down by half its range for it, and their zero points with them. Everything else is one plain loop over products.
"""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate, adder, holder
from refq.ints.jit import jit
from refq.ints.spans import factor, spanned, times
from refq.machine.dot import dot_int8, dot_wide, row_sums


def admit(row, where):
    """Refuse a row (fields x, w, acc, accumulate) that cannot be summed."""
    if max(row.x.bits, row.w.bits) > 16:
        raise IllFormed(f"{where}: operands of {row.x} and {row.w}; products are made of at most 16 bits each")
    if not row.acc.signed:
        raise IllFormed(f"{where}: an accumulator of {row.acc}; sums of products need a sign, such as i32")
    if row.accumulate is not None and row.accumulate.result != row.acc:
        raise IllFormed(f"{where}: products join in {row.accumulate.result} and the accumulator is {row.acc}; let both "
                        "be the same")


def weighted(row, w, bias, zx, zw):
    """`build` of matmul and conv2d, the constants of a step: codes and zero points; one `zw` serves all channels, and no
    bias is one of zeros."""
    m = len(w)
    return {"w": w, "bias": np.zeros(m, np.int64) if bias is None else bias, "zx": zx, "zw": np.broadcast_to(zw, m)}


def weighted_registers(row, ends, sizes, constants):
    """What the accumulator of matmul and conv2d reaches (refq.ints.spans): constant weights (m ...), so the sums of the
    smallest and of the largest products, and the bias."""
    w, bias = constants["w"], constants["bias"].astype(np.int64)
    w, zw = w.reshape(len(w), -1).astype(np.int64), constants["zw"].astype(np.int64)[:, None]
    sums = products(factor(ends["x"], int(constants["zx"])), w - zw)
    least, most = codes_too(row, sums, products(factor(ends["x"], 0), w))
    if bias.size and max(int(bias.max()), -int(bias.min())) >= 1 << 62:     # its sum with another may leave 64 bits
        bias = bias.astype(object)
    for register, width in accumulators(row):
        yield register, width, np.minimum(least, least + bias), np.maximum(most, most + bias)


def products(x, w):
    """The ends of sums of products of an interval with 0 in it and weights (m k)."""
    (lo, hi), up, down = x, np.maximum(w, 0).sum(1), np.minimum(w, 0).sum(1)
    return up * lo + down * hi, up * hi + down * lo


def codes_too(row, sums, codes):
    """The ends of sums of differences; of a rule that joins the codes themselves, and what they lack afterwards, those of any sum
    of both: what has been lost on the way is not made up for."""
    if rule_of(row).products == "differences":
        return sums
    lack = sums[0] - codes[1], sums[1] - codes[0]
    return spanned([sums, codes, (codes[0] + lack[0], codes[1] + lack[1])])


def paired_registers(row, ends, sizes, constants):
    """What the accumulator of two activations reaches: k times the extreme products."""
    one = codes_too(row, times(*(factor(ends[name], int(constants[f"z{name}"])) for name in ("x", "w"))),
                    times(*(factor(ends[name], 0) for name in ("x", "w"))))
    for register, width in accumulators(row):
        yield register, width, sizes["k"] * one[0], sizes["k"] * one[1]


def accumulators(row):
    """The widths that a sum has to fit: that of the result, and of a register that is emptied into it."""
    yield "acc", row.acc
    if row.accumulate is not None and row.accumulate.width != row.acc:
        yield "partial", row.accumulate.width


def rule_of(row):
    """How a row's products join: as it says, or exactly, an overflow of `acc` refused (64 bits wrap). A rule for the codes
    themselves is one for unsigned by signed ones."""
    rule = row.accumulate or Accumulate(overflow="refuse" if row.acc.bits < 64 else "wrap", width=row.acc)
    if rule.products == "codes" and (row.x.signed or not row.w.signed):
        return Accumulate(overflow="wrap", width=row.acc)
    return rule


def loses_order(rule):
    """Whether only the sum matters, and not how it came about."""
    return rule.order == "exact" or rule.overflow != "saturate" and not rule.spill


def offset(width):
    """What is taken off the codes of a width (at most 16 bits) so that the signed container of that size holds them."""
    return 0 if width.hi <= np.iinfo(f"i{width.dtype.itemsize}").max else 1 << width.bits - 1


@cache
def as_signed(width):
    """codes (n k) -> the same less `offset(width)`, signed; a copy only where something is taken off."""
    away, dtype = offset(width), np.dtype(f"i{width.dtype.itemsize}")
    if not away:
        @jit(nogil=True)
        def signed(codes):
            return codes.view(dtype)
        return signed

    @jit(nogil=True)
    def moved(codes):
        result = np.empty(codes.shape, dtype)
        for i in range(codes.shape[0]):
            for k in range(codes.shape[1]):
                result[i, k] = np.int64(codes[i, k]) - away
        return result
    return moved


@cache
def total_in(width, dtype):
    """acc -> where a dot product of that dtype may be summed: acc itself if it is such an array, else a new one."""
    if width.dtype == dtype:
        @jit(nogil=True)
        def itself(acc):
            return acc
        return itself

    @jit(nogil=True)
    def other(acc):
        return np.empty(acc.shape, dtype)
    return other


@cache
def linear(x, w, rule):
    """The jitted linear(x, w, bias, zx, zw, acc): operands of the widths x and w (at most 16 bits), an Accumulate."""
    if rule.products == "codes":
        return coded(rule)
    if loses_order(rule):
        return dotted(x, w, rule.overflow, rule.result)
    return ordered(rule)


@cache
def ordered(rule):
    """The same for any rule, product by product."""
    total = adder(rule)

    @jit(nogil=True)
    def linear(x, w, bias, zx, zw, acc):
        n, m = acc.shape
        products = np.empty(x.shape[1], np.int64)
        for i in range(n):
            for j in range(m):
                zero = np.int64(zw[j])
                for k in range(x.shape[1]):
                    products[k] = (np.int64(x[i, k]) - zx) * (np.int64(w[j, k]) - zero)
                acc[i, j] = total(products, np.int64(bias[j]))

    return linear


@cache
def coded(rule):
    """The same where the codes themselves are multiplied, and zero points and bias joined to the sum."""
    total, hold = adder(rule), holder("wrap", rule.result)

    @jit(nogil=True)
    def linear(x, w, bias, zx, zw, acc):
        (n, m), count = acc.shape, x.shape[1]
        products, seen, weights = np.empty(count, np.int64), np.zeros(n, np.int64), np.zeros(m, np.int64)
        for k in range(count):
            for i in range(n):
                seen[i] += x[i, k]
            for j in range(m):
                weights[j] += w[j, k]
        for i in range(n):
            for j in range(m):
                zero = np.int64(zw[j])
                for k in range(count):
                    products[k] = np.int64(x[i, k]) * np.int64(w[j, k])
                away = zx * weights[j] + zero * seen[i] - count * zx * zero
                acc[i, j] = hold(total(products, 0) + np.int64(bias[j]) - away)

    return linear


@cache
def dotted(x, w, overflow, acc):
    """The same where only the sum matters: `overflow` acts on it once, at the width of acc."""
    narrow = acc.bits <= 32 and x.bits <= 8 and w.bits <= 8 and overflow != "saturate"
    dot, kind = (dot_int8, np.dtype(np.int32)) if narrow else (dot_wide, np.dtype(np.int64))
    x_signed, w_signed, x_away, w_away = as_signed(x), as_signed(w), offset(x), offset(w)
    total_of, hold = total_in(acc, kind), holder(overflow, acc)

    @jit(nogil=True)
    def linear(x, w, bias, zx, zw, acc):
        xs, ws, total = x_signed(x), w_signed(w), total_of(acc)
        dot(xs, ws, total)
        n, m = acc.shape
        k, zx = x.shape[1], zx - x_away
        base, zeros = np.empty(m, kind), np.empty(m, kind)
        some = False
        for j in range(m):
            base[j] = bias[j]
            zeros[j] = zw[j] - w_away
            some |= zeros[j] != 0
        if zx:
            sums = np.empty(m, kind)
            row_sums(ws, sums)
            for j in range(m):
                base[j] += zx * (k * np.int64(zeros[j]) - sums[j])
        if some:
            sums = np.empty(n, kind)
            row_sums(xs, sums)
            for i in range(n):
                for j in range(m):
                    acc[i, j] = hold(np.int64(total[i, j]) + base[j] - np.int64(zeros[j]) * sums[i])
        else:
            for i in range(n):
                for j in range(m):
                    acc[i, j] = hold(np.int64(total[i, j]) + base[j])

    return linear
