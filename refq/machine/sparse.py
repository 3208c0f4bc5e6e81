"""Products with weights of which only some are stored: the inside of matmul_two_four, matmul_blocks and matmul_bitmap kernels.

    acc[n, m] = bias[m] + sum over the stored codes of row m of (x[n, column] - zx) * (code - zw[m])

Where only the sum matters the weights are laid out in full, every other place at its zero point, which adds nothing, and the
dense loop runs over them: one write a weight, against n products (tools/bench/sparse.py: 1.3 to 3.2 times the dense product at
197x768x768, where that makes 430 products a nanosecond). Where the order of the sum matters, or a place is stored twice,
one plain loop runs over what is stored.
"""
from functools import cache

import numpy as np

from refq.ints.accumulate import adder, holder
from refq.ints.jit import jit
from refq.machine.linear import linear, loses_order


@cache
def gathered(x, w, rule, entries, most, lay):
    """The jitted gathered(x, values, a, b, bias, zx, zw, acc). `a`, `b`: the arrays that say where values stand.

    `entries(j, m, k, values, a, b, columns, codes)`, a word, fills both with what is stored of row j, in order and only with
    columns below k, and gives how many; `most(m, k, values, a, b)`: at most how many any row has.
    `lay(j, m, k, values, a, b, line)` writes the codes of row j to their places in `line`, and gives whether two may have had
    one.
    """
    some = listed(rule, entries, most)
    if not loses_order(rule) or rule.products == "codes" and rule.overflow == "saturate":
        return some
    dense, dtype = linear(x, w, rule), w.dtype

    @jit(nogil=True)
    def gathered(x, values, a, b, bias, zx, zw, acc):
        m, k = acc.shape[1], x.shape[1]
        full, twice = np.empty((m, k), dtype), False
        for j in range(m):
            full[j, :] = zw[j]
            twice |= lay(j, m, k, values, a, b, full[j])
        if twice:
            some(x, values, a, b, bias, zx, zw, acc)
        else:
            dense(x, full, bias, zx, zw, acc)

    return gathered


@cache
def listed(rule, entries, most):
    """The same for any rule, product by product in the order in which they are stored."""
    total, hold, of_codes = adder(rule), holder("wrap", rule.result), rule.products == "codes"

    @jit(nogil=True)
    def listed(x, values, a, b, bias, zx, zw, acc):
        (n, m), k = acc.shape, x.shape[1]
        room = most(m, k, values, a, b)
        columns, codes, products = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
        for j in range(m):
            count, zero = entries(j, m, k, values, a, b, columns, codes), np.int64(zw[j])
            for i in range(n):
                lack = np.int64(0)
                for e in range(count):
                    seen = np.int64(x[i, columns[e]])
                    product = (seen - zx) * (codes[e] - zero)
                    products[e] = seen * codes[e] if of_codes else product
                    lack += product - products[e]
                if of_codes:
                    acc[i, j] = hold(total(products[:count], 0) + np.int64(bias[j]) + lack)
                else:
                    acc[i, j] = total(products[:count], np.int64(bias[j]))

    return listed
