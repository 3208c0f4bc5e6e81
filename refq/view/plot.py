"""plot: the integer forms of a real function as a picture: the real curve and every form above, the error of each below.

Of a function of a row one number varies and the others stand still (forms.ASIDE). Needs matplotlib (extra `plots`).
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.view import forms

DASHES = ("-", "--", "-.", ":")
ENDINGS = (".png", ".svg", ".pdf")


def rows(function, scale):
    """int8 codes (256 c): every code first, and what stands beside it."""
    aside = np.clip(np.rint(np.array(forms.ASIDE.get(function, ())) / scale), -128, 127).astype(np.int8)
    return np.column_stack([np.arange(-128, 128, dtype=np.int8), np.tile(aside, (256, 1))])


def curves(function, scale):
    """(x, the real y, [(form, y)]): float64 (256); x is the number that varies."""
    q = rows(function, scale)
    found = [(form, form.values(q, scale)[0][:, 0]) for form in forms.forms(function, scale)]
    return q[:, 0] * scale, forms.real(function, q * scale)[:, 0], found


def draw(function, path, scale=1 / 16):
    """Write the picture of `function` (a key of forms.NODES) for int8 codes of `scale` to `path` (.png, .svg or .pdf); gives the
    largest error of each form, by its name. Raises IllFormed for another function, Unsupported without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise Unsupported('a picture of curves needs matplotlib: pip install "refq[plots]"') from None
    if not 2.0 ** -24 <= scale <= 2.0 ** 24:
        raise IllFormed(f"a scale of {scale}; codes that can be drawn have one from 2**-24 to 2**24")
    x, y, found = curves(function, scale)
    if not found:
        raise IllFormed(f"no form of {function} takes int8 codes of scale {scale:g}; try 0.0625")
    figure = Figure(figsize=(10, 9), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    above.plot(x, y, color="black", linewidth=3, alpha=0.35, label="real")
    for i, (form, values) in enumerate(found):
        style = {"color": f"C{i % 10}", "linestyle": DASHES[i // 10 % len(DASHES)], "linewidth": 1, "drawstyle": "steps-mid"}
        above.plot(x, values, label=named(form), **style)
        below.plot(x, values - y, **style)
    beside = ", ".join(f"{a:g}" for a in forms.ASIDE.get(function, ()))
    above.set_title(f"{function} of int8 codes of scale {scale:g}" + (f", the first of a row with {beside}" if beside else ""))
    above.set_ylabel(function)
    below.set_ylabel("form - real")
    below.set_xlabel("x")
    below.set_yscale("symlog", linthresh=float(np.abs(y).max()) / 256)      # one unit of 8 bits is drawn linearly
    below.axhline(0, color="black", linewidth=0.5)
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=110)
    return {str(form): float(np.abs(values - y).max()) for form, values in found}


def named(form):
    """A form for a legend: its operation, and as many dialects as fit."""
    names = list(form.dialects[:3]) + (["..."] if len(form.dialects) > 3 else [])
    return f"{form.op} ({', '.join(names)})"
