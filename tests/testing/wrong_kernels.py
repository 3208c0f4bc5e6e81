"""Kernels of matmul that make one mistake each, and the law that names it; `right` is the one that they begin with."""
import ctypes

import numpy as np


def product(x, w, bias, zx, zw):
    return ((x.astype(np.int64) - zx) @ (w.astype(np.int64) - zw[:, None].astype(np.int64)).T + bias).astype(np.int32)


def right(x, w, bias, zx, zw, acc):
    acc[...] = product(x, w, bias, zx, zw)


def tail_forgotten(x, w, bias, zx, zw, acc):
    """Products behind the last whole tile of four are left out."""
    k = x.shape[1] // 4 * 4
    acc[...] = product(x[:, :k], w[:, :k], bias, zx, zw)


def narrow_sums(x, w, bias, zx, zw, acc):
    """Sums wrap at 16 bits."""
    acc[...] = product(x, w, bias * 0, zx, zw).astype(np.int16) + bias


def sums_in_float32(x, w, bias, zx, zw, acc):
    """Exact as long as sums stay below 2**24."""
    made = (x.astype(np.float32) - zx) @ (w.astype(np.float32) - zw[:, None]).T + bias.astype(np.float32)
    acc[...] = np.clip(made.astype(np.float64), -2.0 ** 31, 2.0 ** 31 - 1).astype(np.int32)


def last_row_never_written(x, w, bias, zx, zw, acc):
    if len(acc) > 1:
        acc[:-1] = product(x, w, bias, zx, zw)[:-1]
    else:
        acc[...] = product(x, w, bias, zx, zw)


def accumulates_onto_what_was_there(x, w, bias, zx, zw, acc):
    acc += product(x, w, bias, zx, zw)


def one_more_than_there_is(x, w, bias, zx, zw, acc):
    """A vector store that is as long as a tile behind the last channel."""
    right(x, w, bias, zx, zw, acc)
    if acc.size:
        ctypes.memset(acc.ctypes.data + acc.nbytes, 0, 4)


def one_byte_before(x, w, bias, zx, zw, acc):
    right(x, w, bias, zx, zw, acc)
    ctypes.memset(acc.ctypes.data - 1, 0, 1)


def weights_widened_in_place(x, w, bias, zx, zw, acc):
    right(x, w, bias, zx, zw, acc)
    w -= zw[:, None]


def tail_read_beyond(x, w, bias, zx, zw, acc):
    """The last row of x is read to a whole tile; what lies behind it in memory is multiplied with the first weight."""
    right(x, w, bias, zx, zw, acc)
    over = -x.shape[1] % 4
    if over and x.size and w.size:
        behind = ctypes.string_at(x.ctypes.data + x.nbytes, over)
        acc[-1] += np.frombuffer(behind, np.int8).astype(np.int32).sum(dtype=np.int32) * w[:, 0]


held = []


def remembers(x, w, bias, zx, zw, acc):
    """The bias of the call before joins every eleventh time."""
    right(x, w, bias, zx, zw, acc)
    held.append(0)
    if len(held) % 11 == 0:
        acc += 1


def row_depends_on_the_batch(x, w, bias, zx, zw, acc):
    """The range of the whole batch decides about each row."""
    right(x, w, bias, zx, zw, acc)
    if len(x) > 2 and np.abs(x.astype(int)).max(initial=0) > 100:
        acc += 1


def fails_without_products(x, w, bias, zx, zw, acc):
    right(x, w, bias, zx, zw, acc)
    if not x.shape[1]:
        raise ZeroDivisionError("no tiles")


WRONG = {tail_forgotten: "equals_the_spec", narrow_sums: "equals_the_spec",
         sums_in_float32: "equals_the_spec", fails_without_products: "equals_the_spec",
         last_row_never_written: "writes_every_element", accumulates_onto_what_was_there: "writes_every_element",
         one_more_than_there_is: "writes_nothing_else", one_byte_before: "writes_nothing_else",
         weights_widened_in_place: "leaves_its_operands", tail_read_beyond: "reads_nothing_else", remembers: "is_deterministic",
         row_depends_on_the_batch: "takes_rows_alone"}
