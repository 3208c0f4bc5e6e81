"""Products in packed words: the inside of kernels that make several with one multiplication.

`linear(lanes, summed, drain)` is the jitted linear(x, w, bias, zx, zw, acc): words of weights of neighbouring rows, each times
the activation that they share, spread and added up in `summed`, and emptied after `drain` products. Words lie along k, so
that many columns go through one vector instruction and their sums meet at the end: addition wraps, so its order is free.
"""
from dataclasses import replace
from functools import cache

import numpy as np

from refq.ints.jit import jit, word

SHORT = 32
"""Drains of fewer products go through one loop; of more, each through a vector loop of its own."""


def container(width):
    """The NumPy integer that a register of a width lies in: unsigned, so that it wraps."""
    return np.dtype(f"u{max(2, width.dtype.itemsize)}")


@cache
def spreading(lanes, summed):
    """The word that sets the fields of a product apart: of and to the containers of both, modulo their size. A field that is
    taken off with its sign leaves what it borrowed to those above it."""
    to, wide = container(summed.word).type, np.dtype(f"i{container(lanes.word).itemsize}").type
    fields, apart, spread, borrows = lanes.fields, lanes.field, summed.field, lanes.sign == "borrow"
    mask, sign, more = to((1 << apart) - 1), to((1 << apart - 1) * borrows), spread - apart

    @word
    def signed(product):
        return to(wide(product))

    @word
    def unsigned(product):
        return to(product)

    extend = signed if borrows else unsigned
    if not more:
        return extend

    @word
    def spreaded(product):
        rest, made = extend(product), to(0)
        for i in range(fields - 1):
            low = to(to(to(to(rest >> to(i * spread)) & mask) ^ sign) - sign)
            low = to(low << to(i * spread))
            made = to(made + low)
            rest = to(to(rest - low) << to(more))
        return to(made + rest)

    return spreaded


@cache
def emptying(summed):
    """The word (sum, i) -> what stands in field i, with its sign; the fields below give back what they borrowed."""
    field, borrows = summed.field, summed.sign == "borrow"
    mask, sign = (1 << field) - 1, (1 << field - 1) * borrows

    @word
    def emptied(total, i):
        rest = np.int64(total)
        for _ in range(i):
            rest = (rest >> field) + ((rest >> field - 1) & 1 if borrows else 0)
        return ((rest & mask) ^ sign) - sign

    return emptied


@jit(nogil=True)
def beside(w, bias, zx, zw):
    """What joins the sums of products of codes: (m) bias - zx * (sum of w) + k * zx * zw; the rest is that of the activations."""
    m, k = w.shape
    made = np.empty(m, np.int64)
    for j in range(m):
        some = np.int64(0)
        for c in range(k):
            some += np.int64(w[j, c])
        made[j] = np.int64(bias[j]) - np.int64(zx) * some + k * np.int64(zx) * np.int64(zw[j])
    return made


@jit(nogil=True)
def joined(total, x, w, bias, zx, zw, acc):
    """acc (n m): sums of products of codes, with the zero points and the bias."""
    base = beside(w, bias, zx, zw)
    for i in range(acc.shape[0]):
        seen = np.int64(0)
        for c in range(x.shape[1]):
            seen += np.int64(x[i, c])
        for j in range(acc.shape[1]):
            acc[i, j] = total[i, j] + base[j] - np.int64(zw[j]) * seen


@jit(nogil=True)
def pack(w, fields, apart, offset, words):
    """words (p k): the codes of `fields` rows of w (m k), plus offset, from the lowest field up; what is missing is 0."""
    for p in range(words.shape[0]):
        for c in range(words.shape[1]):
            made = np.int64(0)
            for i in range(fields):
                code = np.int64(w[p * fields + i, c]) if p * fields + i < w.shape[0] else np.int64(0)
                made += (code + offset) << i * apart
            words[p, c] = made


@cache
def adding(lanes, summed):
    """add(words, shared, drain, total): words (p k) times activations (n k) of the words' container; total (n m), an int64 array,
    is overwritten by the sums in their fields. Of both Lanes only the form counts, not which codes they hold."""
    fields, wide = lanes.fields, container(summed.word).type
    narrow, spread, empty = container(lanes.word).type, spreading(lanes, summed), emptying(summed)

    @jit(nogil=True)
    def sum_of(words, shared):
        total = wide(0)
        for c in range(words.size):
            total = wide(total + spread(narrow(words[c] * shared[c])))
        return total

    @jit(nogil=True)
    def often(words, shared, drain, parts):
        """parts (fields): the sums of one word of rows, where a call for every drain would cost more than what it adds up."""
        parts[:] = 0
        for first in range(0, words.size, drain):
            held = wide(0)
            for c in range(first, min(first + drain, words.size)):
                held = wide(held + spread(narrow(words[c] * shared[c])))
            for f in range(fields):
                parts[f] += empty(held, f)

    @jit(nogil=True)
    def add(words, shared, drain, total):
        (n, m), k, parts = total.shape, words.shape[1], np.empty(fields, np.int64)
        for i in range(n):
            for p in range(words.shape[0]):
                if drain < SHORT:
                    often(words[p], shared[i], drain, parts)
                else:
                    parts[:] = 0
                    for first in range(0, k, drain):
                        held = sum_of(words[p, first:first + drain], shared[i, first:first + drain])
                        for f in range(fields):
                            parts[f] += empty(held, f)
                for f in range(min(fields, m - p * fields)):
                    total[i, p * fields + f] = parts[f]

    return add


@jit(nogil=True)
def lowered(total, x, offset):
    """What codes were lifted by, times the sum of the activations, is taken off."""
    for i in range(total.shape[0]):
        seen = np.int64(0)
        for c in range(x.shape[1]):
            seen += np.int64(x[i, c])
        for j in range(total.shape[1]):
            total[i, j] -= offset * seen


def form(lanes):
    """The same Lanes for codes of 0 and 1: what they hold does not alter their form."""
    return replace(lanes, code=(0, 1), shared=(0, 1))


@cache
def linear(lanes, summed, drain):
    fields, apart, offset = lanes.fields, lanes.field, lanes.offset
    narrow, add = container(lanes.word).type, adding(form(lanes), form(summed))

    @jit(nogil=True)
    def matmul_packed(x, w, bias, zx, zw, acc):
        (n, m), k = acc.shape, x.shape[1]
        words, shared = np.empty(((m + fields - 1) // fields, k), narrow), np.empty((n, k), narrow)
        pack(w, fields, apart, offset, words)
        for i in range(n):
            for c in range(k):
                shared[i, c] = x[i, c]
        total = np.empty((n, m), np.int64)
        add(words, shared, drain, total)
        if offset:
            lowered(total, x, offset)
        joined(total, x, w, bias, zx, zw, acc)

    return matmul_packed
