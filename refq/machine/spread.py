"""Transposed windows: a place of an image throws a window onto a larger image.

Seen from the result this is a convolution of the image spread out, by the window read backwards: so the inside of conv2d does it.
"""
import numpy as np

from refq.errors import IllFormed


def admit_spread(row, where):
    """Refuse a row whose stride, padding (top, left, bottom, right; negative adds), dilation or groups cannot be meant."""
    for name, length, least in (("stride", 2, 1), ("padding", 4, -(1 << 31)), ("dilation", 2, 1)):
        value = getattr(row, name)
        if len(value) != length or min(value) < least:
            raise IllFormed(f"{where}: {name} is {value}; it must be {length} numbers of at least {least}")
    if row.groups < 1:
        raise IllFormed(f"{where}: {row.groups} groups; there must be at least 1")


def thrown(row, found, where):
    """The axes oh and ow of the result, from the sizes of the operands; raises IllFormed where they do not fit."""
    h, w, c, m, kh, kw, d = (found[axis] for axis in ("h", "w", "c", "m", "kh", "kw", "d"))
    if c != d * row.groups or m % row.groups:
        raise IllFormed(f"{where}: {c} channels and {m} filters over {d} channels in {row.groups} groups; channels must be "
                        f"groups * {d}, and filters a multiple of groups")
    (sy, sx), (dy, dx), (top, left, bottom, right) = row.stride, row.dilation, row.padding
    oh, ow = (h - 1) * sy + (kh - 1) * dy + 1 - top - bottom, (w - 1) * sx + (kw - 1) * dx + 1 - left - right
    if min(oh, ow, h, w, kh, kw, d) < 1:
        raise IllFormed(f"{where}: an image of {h} x {w} under a {kh} x {kw} kernel of {d} channels, stride {row.stride}, "
                        f"dilation {row.dilation}, leaves {oh} x {ow} after padding {row.padding}")
    return {"oh": oh, "ow": ow}


def spread(x, zero, row, kh, kw):
    """The image x (n h w c) with stride - 1 places of `zero` between its own, and around it as many as windows of kh x kw
    reach, less the padding: as wide as the result and dilation * (kernel - 1) more."""
    (sy, sx), (dy, dx), (top, left, bottom, right) = row.stride, row.dilation, row.padding
    n, h, w, c = x.shape
    up, side = dy * (kh - 1) - top, dx * (kw - 1) - left
    tall, broad = (h - 1) * sy + 1 + up + dy * (kh - 1) - bottom, (w - 1) * sx + 1 + side + dx * (kw - 1) - right
    iy, ix = np.arange(h) * sy + up, np.arange(w) * sx + side
    rows, columns = (iy >= 0) & (iy < tall), (ix >= 0) & (ix < broad)
    wide = np.full((n, tall, broad, c), zero, x.dtype)
    wide[:, iy[rows][:, None], ix[columns]] = x[:, rows][:, :, columns]
    return wide
