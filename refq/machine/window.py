"""The inside of conv2d: where windows lie, how they are gathered into rows, and the rows multiplied as in a matmul.

Rows are gathered in blocks of a size that a cache holds. A depthwise convolution has one product per place of the
kernel, too few to gather: its loop runs over the channels.
"""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.accumulate import holder
from refq.ints.jit import jit
from refq.machine.linear import linear, loses_order

BLOCK = 1 << 20     # elements of gathered windows at a time


def admit_geometry(row):
    """Refuse a row whose stride, padding (top, left, bottom, right), dilation or groups cannot be meant."""
    for name, length, least in (("stride", 2, 1), ("padding", 4, 0), ("dilation", 2, 1)):
        value = getattr(row, name)
        if len(value) != length or min(value) < least:
            raise IllFormed(f"conv2d: {name} is {value}; it must be {length} numbers of at least {least}")
    if row.groups < 1:
        raise IllFormed(f"conv2d: {row.groups} groups; there must be at least 1")


def places(size, kernel, stride, dilation):
    """How many places a window has along one axis."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def placed(row, found):
    """The axes oh and ow of the result, from the sizes of the operands; raises IllFormed where they do not fit."""
    h, w, c, m, kh, kw, d = (found[axis] for axis in ("h", "w", "c", "m", "kh", "kw", "d"))
    if c != d * row.groups or m % row.groups:
        raise IllFormed(f"conv2d: {c} channels and {m} filters over {d} channels in {row.groups} groups; channels must "
                        f"be groups * {d}, and filters a multiple of groups")
    top, left, bottom, right = row.padding
    oh = places(h + top + bottom, kh, row.stride[0], row.dilation[0])
    ow = places(w + left + right, kw, row.stride[1], row.dilation[1])
    if min(oh, ow, kh, kw, d) < 1:
        raise IllFormed(f"conv2d: a {kh} x {kw} kernel of {d} channels, dilation {row.dilation}, does not fit into an "
                        f"image of {h} x {w} with padding {row.padding}")
    return {"oh": oh, "ow": ow}


@jit(nogil=True)
def gather(x, first, kh, kw, d, start, ow, zx, geometry, rows):
    """rows[p] = the window at place start + p of the image x (h w c), channels first to first + d, as (kh kw d)."""
    (sy, sx, top, left, dy, dx), (h, w, channels) = geometry, x.shape
    lines, run = x.reshape(h, w * channels), kw * d
    dense = dx == 1 and d == channels
    for p in range(rows.shape[0]):
        y, t = (start + p) // ow * sy - top, 0
        for _i in range(kh):
            at = (start + p) % ow * sx - left
            inside = 0 <= y < h
            if inside and dense and 0 <= at <= w - kw:
                into, source = rows[p, t:t + run], lines[y, at * d:at * d + run]
                for c in range(run):        # over slices of their own, so that LLVM makes it one of vectors
                    into[c] = source[c]
                t += run
            else:
                for _j in range(kw):
                    if inside and 0 <= at < w:
                        for c in range(d):
                            rows[p, t + c] = x[y, at, first + c]
                    else:
                        for c in range(d):
                            rows[p, t + c] = zx
                    t += d
                    at += dx
            y += dy


@cache
def gathered(x, w, rule):
    """conv2d by gathering windows; the geometry is (sy, sx, top, left, dy, dx)."""
    product = linear(x, w, rule)

    # In Python: a call of each part is short beside its block, and the product is the machine code that matmul has.
    def conv2d(x, w, bias, zx, zw, geometry, groups, acc):
        m, kh, kw, d = w.shape
        oh, ow, each = acc.shape[1], acc.shape[2], m // groups
        depth, places = kh * kw * d, oh * ow
        weights, block = w.reshape(m, depth), min(max(BLOCK // depth, 64), places)
        rows = np.empty((block, depth), x.dtype)
        total = np.empty((block, each), acc.dtype)
        for image, flat in zip(x, acc.reshape(len(x), places, m)):
            for start in range(0, places, block):
                out = flat[start:start + block]
                seen = rows[:len(out)]
                for g in range(groups):
                    of_group = slice(g * each, (g + 1) * each)
                    gather(image, g * d, kh, kw, d, start, ow, zx, geometry, seen)
                    part = out if groups == 1 else total[:len(out)]
                    product(seen, weights[of_group], bias[of_group], zx, zw[of_group], part)
                    if groups > 1:
                        out[:, of_group] = part

    return conv2d


@cache
def depthwise(overflow, acc):
    """conv2d where each filter sees one channel and order cannot matter."""
    hold, kind = holder(overflow, acc), np.dtype(np.int32 if acc.bits <= 32 and overflow != "saturate" else np.int64)

    @jit(nogil=True)
    def conv2d(x, w, bias, zx, zw, geometry, groups, acc):
        (m, kh, kw, _), (_images, h, width, c), (sy, sx, top, left, dy, dx) = w.shape, x.shape, geometry
        weights, total = np.empty((kh, kw, m), kind), np.empty(m, kind)
        for f in range(m):
            for i in range(kh):
                for j in range(kw):
                    weights[i, j, f] = np.int64(w[f, i, j, 0]) - zw[f]
        channel = np.arange(m) // (m // c)
        for n, y, at in np.ndindex(acc.shape[:3]):
            for f in range(m):
                total[f] = bias[f]
            for i in range(kh):
                for j in range(kw):
                    b, a = y * sy + i * dy - top, at * sx + j * dx - left
                    if 0 <= b < h and 0 <= a < width:
                        place = x[n, b, a]
                        if m == c:
                            for f in range(m):
                                total[f] += (place[f] - zx) * weights[i, j, f]
                        else:
                            for f in range(m):
                                total[f] += (place[channel[f]] - zx) * weights[i, j, f]
            for f in range(m):
                acc[n, y, at, f] = hold(np.int64(total[f]))

    return conv2d


@cache
def conv(x, w, rule, stride, padding, dilation, groups):
    """conv2d(x, w, bias, zx, zw, acc) of a row: the machine code is the same for every geometry."""
    geometry = stride + padding[:2] + dilation
    gathers, deep = gathered(x, w, rule), depthwise(rule.overflow, rule.result)
    channelwise = groups > 1 and loses_order(rule)

    def conv2d(x, w, bias, zx, zw, acc):
        inside = deep if channelwise and w.shape[3] == 1 else gathers
        inside(x, w, bias, zx, zw, geometry, groups, acc)

    return conv2d
