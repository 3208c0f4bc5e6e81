"""Geometry mutants: an operation that slides a window steps, pads or spreads it otherwise.

The result keeps its shape: places that a wrong geometry takes from beyond the padding read the zero point.
"""
from dataclasses import replace

import numpy as np


def mutants(step):
    """(kind, name, phrase, local, wrap) of every wrong geometry; none for operations without a window."""
    row = step.row
    if step.op != "conv2d":
        return
    for name, changes in geometries(row).items():
        if any(getattr(row, k) != v for k, v in changes.items()):
            yield "geometry", f"geometry: {name}", name, False, with_geometry(row, changes)
    if any(row.padding):
        (top, left, bottom, right), sides = row.padding, {}
        sides["all sides"] = row.padding
        sides["left and right"] = (0, left, 0, right)
        sides["top and bottom"] = (top, 0, bottom, 0)
        for where, widths in sides.items():
            for what, code in (("the code 0", 0), ("the lowest code", row.x.lo), ("the highest code", row.x.hi),
                               ("the code -zx", None), ("half of the range above zx", "half")):
                if any(widths) and (where == "all sides" or widths != row.padding):
                    yield ("geometry", f"padding: {what}, {where}", f"the padding ({where}) holds {what}, not the zero point",
                           False, padded(row, widths, code))
        yield ("geometry", "padding: clamped", "places outside the image read the nearest one inside", False,
               padded(row, row.padding, "edge"))


def geometries(row):
    """Words to the fields that they change."""
    (sy, sx), (dy, dx), (top, left, bottom, right) = row.stride, row.dilation, row.padding
    across = (left, top, right, bottom)
    return {
        "strides are exchanged (vertical for horizontal)": {"stride": (sx, sy)},
        "dilations are exchanged": {"dilation": (dx, dy)},
        "paddings are exchanged (vertical for horizontal)": {"padding": across},
        "strides and paddings are exchanged": {"stride": (sx, sy), "padding": across},
        "strides, paddings and dilations are exchanged": {"stride": (sx, sy), "padding": across, "dilation": (dx, dy)},
        "the horizontal stride is used for both axes": {"stride": (sx, sx)},
        "the vertical stride is used for both axes": {"stride": (sy, sy)},
        "the strides are 1": {"stride": (1, 1)},
        "the horizontal dilation is used for both axes": {"dilation": (dx, dx)},
        "the vertical dilation is used for both axes": {"dilation": (dy, dy)},
        "the dilations are applied twice": {"dilation": (dy * dy, dx * dx)},
        "the dilations are ignored": {"dilation": (1, 1)},
        "padding before and behind are exchanged": {"padding": (bottom, right, top, left)},
        "the padding is left out: windows start at the image": {"padding": (0, 0, 0, 0)},
        "the padding before is the sum of both": {"padding": (top + bottom, left + right, bottom, right)},
        "strides and dilations are 1": {"stride": (1, 1), "dilation": (1, 1)},
        "windows start one place late": {"padding": (max(top - 1, 0), max(left - 1, 0), bottom, right)},
        "windows start one place early": {"padding": (top + 1, left + 1, bottom, right)},
    }


def with_geometry(named, changes):
    def wrap(run):
        def altered(operands, row=named, **how):
            right = run(operands, row=row, **how)["acc"]
            other = replace(row, **changes)
            (top, left, _, _), (_, oh, ow, _), (_, kh, kw, _) = other.padding, right.shape, operands["w"].shape
            (sy, sx), (dy, dx), (_, h, w, _) = other.stride, other.dilation, operands["x"].shape
            below = max(0, (oh - 1) * sy + dy * (kh - 1) + 1 - h - top)
            beside = max(0, (ow - 1) * sx + dx * (kw - 1) + 1 - w - left)
            made = run(operands, row=replace(other, padding=(top, left, below, beside)), **how)["acc"]
            return {"acc": made[:, :oh, :ow]}
        return altered
    return wrap


def padded(named, widths, code):
    """The image with that code put around it, on these sides; the rest of the padding is right."""
    top, left, bottom, right = widths

    def wrap(run):
        def altered(operands, row=named, **how):
            sides, x, zx = ((0, 0), (top, bottom), (left, right), (0, 0)), operands["x"].astype(np.int64), operands["zx"]
            if code == "edge":
                x = np.pad(x, sides, mode="edge")
            else:
                half = zx + (1 << row.x.bits - 1)
                x = np.pad(x, sides, constant_values={None: -zx, "half": half}.get(code, code))
            rest = tuple(a - b for a, b in zip(row.padding, widths))
            return run({**operands, "x": x}, row=replace(row, padding=rest), **how)
        return altered
    return wrap
