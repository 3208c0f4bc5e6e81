"""pattern: masks as text, a table and the corner of one, and as a picture; a picture needs matplotlib (extra `plots`).

Rows are outputs, columns k in the order in which kernels sum. Where a pattern has groups or blocks, they are set apart.
"""
import re
from math import prod
from pathlib import Path

import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.pruners.n_m import parts
from refq.view import show, summary

ENDINGS = (".png", ".svg", ".pdf")
CORNER = (8, 64)
"""Rows and columns of a mask that a picture in text shows, at most."""
WIDE = 80
"""The columns of a terminal that it fits, with its spaces."""
DRAWN = 6
"""Tensors of one picture."""
CLOSE = (16, 48)
"""Rows and columns of its corner."""
CELLS = (32, 96)
"""Rows and columns of its map of shares, at most."""
LEGEND = "# stays, . goes; a line is an output, its weights along k from left to right"


def text(value, masks):
    """The table of masks (`value`: their facts), and of each pattern the corner of a tensor of it: # stays, . goes."""
    patterns = dict.fromkeys(mask.pattern for mask in masks.tensors.values())
    alike = len(patterns) == 1
    head = [f"{value['network']}: {summary.share(value['pruned'], value['weights'])} weights of "
            f"{summary.many(len(masks), 'tensor')} masked{', ' + next(iter(patterns)) if alike else ''}", f"hash {value['hash']}"]
    rows = [[show.short(name), show.shape(t["shape"]), f"{100 * t['pruned'] / t['weights']:.1f} %" if t["weights"] else "",
             *([] if alike else [t["pattern"]]), empty(t), str(t["longest_gap"]), ", ".join(t["satisfies"]) or "none"]
            for name, t in value["tensors"].items()]
    titles = ["tensor", "shape", "masked", *([] if alike else ["pattern"]), "empty", "gap", "satisfies"]
    said = "empty: outputs (rows) and places along k (columns) of which nothing stays\n" \
           "gap: the most neighbours along k that all go"
    corners = []
    for pattern in patterns:
        name = largest(masks, pattern)
        corners.append(f"{name}, {pattern}:\n{corner(masks[name])}")
    return "\n\n".join(["\n".join(head), f"{show.table(titles, rows)}\n\n{said}", *corners, LEGEND])


def empty(facts):
    """The rows and columns of a mask in which nothing stays, in words."""
    counts = ((facts["empty_rows"], "row"), (facts["empty_columns"], "column"))
    return ", ".join(summary.many(count, word) for count, word in counts if count)


def largest(masks, pattern):
    """The first tensor of a pattern of which a corner shows most."""
    seen = {name: min(mask.shape[0], CORNER[0]) * min(prod(mask.shape[1:]), CORNER[1])
            for name, mask in masks.tensors.items() if mask.pattern == pattern}
    return max(seen, key=seen.get)


def groups(mask):
    """(rows, columns) of the groups or blocks that the words of a mask's pattern name, in its matrix; 1 where it has none."""
    if block := re.search(r"(?<![\d.:])(\d+)x(\d+)", mask.pattern):
        return max(int(block[1]), 1), max(int(block[2]), 1)
    found = re.search(r"(\d+:\d+(?:x\d+)?) along (k|axis \d)", mask.pattern)
    if not found:
        return 1, 1
    _, m, unit = parts(found[1])
    along = {"k": (1, m * unit), "axis 0": (m * unit, 1)} | ({"axis 1": (1, m * unit)} if mask.kept.ndim == 2 else {})
    return along.get(found[2], (1, 1))


def corner(mask):
    """The first rows and columns of a mask in # and ., groups and blocks of its pattern apart."""
    kept, (high, wide) = mask.matrix(), groups(mask)
    rows = CORNER[0] // high * high or CORNER[0]
    fits = [min((WIDE + 1 - rest) // (wide + 1) * wide or CORNER[1], CORNER[1]) for rest in (0, 4)] if wide > 1 else [CORNER[1]]
    more, columns = ("", fits[0]) if kept.shape[1] <= fits[0] else (" ...", fits[-1])
    lines = []
    for i, row in enumerate(kept[:rows]):
        marks = "".join(".#"[int(stays)] for stays in row[:columns])
        lines += [""] if high > 1 and i and i % high == 0 else []
        lines.append((" ".join(marks[j:j + wide] for j in range(0, len(marks), wide)) if wide > 1 else marks) + more)
    return "\n".join([*lines, *([] if len(kept) <= rows else ["..."])])


def shares(kept, apart=(1, 1)):
    """The share of weights that stay in each cell of a map of a mask (m k), at most CELLS of them; a cell holds whole groups
    of `apart` (rows, columns)."""
    cut = []
    for size, most, each in zip(kept.shape, CELLS, apart):
        count = -(-size // each)
        cut.append(np.unique(np.arange(min(count, most)) * count // max(min(count, most), 1)) * each)
    summed = np.add.reduceat(np.add.reduceat(kept.astype(np.float64), cut[0], 0), cut[1], 1)
    return summed / np.outer(*(np.diff([*places, size]) for places, size in zip(cut, kept.shape)))


def draw(masks, path):
    """Write a picture (.png, .svg or .pdf) of the first masks: the corner of each, and the share that stays all over; gives
    the names of those drawn. Raises IllFormed for another ending, Unsupported without matplotlib."""
    if Path(path).suffix not in ENDINGS:
        raise IllFormed(f"{path}: a picture ends in {', '.join(ENDINGS)}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise Unsupported('a picture of masks needs matplotlib: pip install "refq[plots]"') from None
    names = [name for name, mask in masks.tensors.items() if mask.kept.size][:DRAWN]
    if not names:
        raise IllFormed(f"{path}: the masks hold no weight to draw")
    figure = Figure(figsize=(12, 2.2 * len(names) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for name, (left, right) in zip(names, figure.subplots(len(names), 2, squeeze=False)):
        kept, apart = masks[name].matrix(), groups(masks[name])
        left.imshow(kept[:CLOSE[0], :CLOSE[1]], cmap="gray_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        for lines, size, each, most in zip((left.axhline, left.axvline), kept.shape, apart, CLOSE):
            for place in range(each, min(size, most), each) if each > 1 else ():
                lines(place - 0.5, color="C0", linewidth=1)
        left.set_title(f"{show.short(name)}: {masks[name].pattern}", fontsize="small")
        right_image = right.imshow(shares(kept, apart), cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest",
                                   extent=(-0.5, kept.shape[1] - 0.5, kept.shape[0] - 0.5, -0.5))
        right.set_title(f"all {kept.shape[0]} x {kept.shape[1]}: share that stays", fontsize="small")
        figure.colorbar(right_image, ax=right)
        for axes in (left, right):
            axes.tick_params(labelsize="x-small")
            axes.locator_params(integer=True)
        left.set_ylabel("output", fontsize="x-small")
    for axes in figure.axes[2 * len(names) - 2:2 * len(names)]:
        axes.set_xlabel("k", fontsize="x-small")
    more = f"; {len(masks) - len(names)} tensors more are not drawn" if len(masks) > len(names) else ""
    figure.suptitle(f"left: black stays, white goes; lines between groups or blocks of the pattern{more}", fontsize="small")
    figure.savefig(path, dpi=110)
    return names
