"""formats: a small floating-point format as its bits, its ends, and, up to 8 bits, the number of every code."""
import numpy as np

from refq.ints import minifloat

LINE = 64
"""Characters of a number line."""
KINDS = {"ieee": "the topmost exponent is infinity and NaN", "fn": "no infinity; all ones is NaN",
         "fnuz": "no infinity and no -0; the pattern of -0 is NaN", "finite": "no infinity, no NaN"}


def told(name):
    """(value, text) of a format by name; raises IllFormed where there is none."""
    f = minifloat.load(name)
    numbers = {"largest": f.values[f.most], "smallest normal": f.values[1 << f.mantissa], "smallest": f.values[1]}
    codes = {"infinity": f.infinity, "NaN": f.nan}
    value = {"format": name, "bits": f.bits, "exponent": f.exponent, "mantissa": f.mantissa, "bias": f.bias, "kind": f.kind,
             **{k.replace(" ", "_"): v.item() for k, v in numbers.items()}, **{f"code_of_{k}": c for k, c in codes.items()}}
    digits = -(-f.bits // 4)
    facts = [["bits", f"s{'e' * f.exponent}{'m' * f.mantissa}, bias {f.bias}"], ["kind", f"{f.kind}: {KINDS[f.kind]}"],
             *([k, f"{v:.8g}"] for k, v in numbers.items()),
             *([k, "none" if c is None else f"code 0x{c:0{digits}x}"] for k, c in codes.items())]
    parts = [f"{name}, a number format of {f.bits} bits", "\n".join(f"{k:16s} {v}" for k, v in facts)]
    if f.bits <= 8:
        value["values"] = [v.hex() for v in f.values.tolist()]
        parts += [every(f), line(f)]
    return value, "\n\n".join(parts)


def every(f):
    """The numbers of codes without a sign: exponent by mantissa, whichever has fewer across."""
    numbers = f.values[:f.sign].reshape(1 << f.exponent, 1 << f.mantissa)
    across, down = ("m", "e") if f.mantissa <= f.exponent else ("e", "m")
    shown = numbers if across == "m" else numbers.T
    head = [f"{down}\\{across}", *map(str, range(shown.shape[1]))]
    rows = [head, *([str(i), *map(number, row.tolist())] for i, row in enumerate(shown))]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [" ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
    return "\n".join(["codes without a sign: exponent bits e, mantissa bits m", "", *lines])


def number(v):
    """A number in four digits, three where it would be longer than 8 characters; whole ones in full."""
    short = f"{v:.0f}" if np.isfinite(v) and v == round(v) else f"{v:.4g}"
    return short if len(short) <= 8 else f"{v:.3g}"


def line(f):
    """Where the codes lie from 0 to the largest: how many in each part of the line."""
    held = f.values[:f.most + 1]
    counts = np.bincount(np.minimum((held / held[-1] * LINE).astype(np.int64), LINE - 1), minlength=LINE)
    marks = "".join("." if n == 0 else str(n) if n < 10 else "#" for n in counts.tolist())
    return f"codes along the line from 0 to {held[-1]:g} (# is 10 and more):\n\n{marks}"
