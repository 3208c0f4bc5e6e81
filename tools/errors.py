"""How far every integer form of softmax, GELU, LayerNorm ... is from the real function.

    python -m tools.errors                     all; writes tools/errors.json and the table in the README
    python -m tools.errors --function NAME     one function, printed and not written
    python -m tools.errors --rows 1e5          fewer drawn rows for each form, printed and not written

Functions of one code: all 256 codes, beside a second one that takes all 256 values too (so that forms which look at the
largest code of a row meet every pair). Functions of rows: the adversarial rows of `adversarial`, and drawn ones (uniform, all
magnitudes, few levels, one far from the rest), for each form and scale as many for each of the lengths. Scales 2**-8 to 1. Errors
are absolute, of decoded results; LSB is the distance of two codes of the form's own result. Exit status 1 where an operation
states a bound (`bound(row, scale, count)`) and leaves it.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.view import forms
from tools import marked

ROOT = Path(__file__).resolve().parent.parent
RESULTS, README = ROOT / "tools" / "errors.json", ROOT / "README.md"
FIRST, LAST = "<!-- errors: python -m tools.errors -->", "<!-- end of errors -->"
SCALES = tuple(2.0 ** -k for k in range(8, -1, -1))
LENGTHS = (1, 2, 3, 16, 197)
ROWS = 1e6
"""Drawn rows for each form, over all scales and lengths."""


def pairs():
    """Every pair of codes (65536 2): int8."""
    codes = np.arange(-128, 128, dtype=np.int8)
    return np.stack(np.meshgrid(codes, codes, indexing="ij"), -1).reshape(-1, 2)


def adversarial(count):
    """Rows (n count) of int8: all alike, one code at a rail among others, halves at two codes, ramps of every step."""
    rails, at = (-128, -1, 0, 1, 127), np.arange(count)
    rows = [np.full(count, code) for code in rails]
    rows += [np.where(at == place, one, rest) for one in rails for rest in rails for place in (0, count - 1)]
    rows += [np.where(at % 2, one, rest) for one in rails for rest in rails]
    rows += [np.clip(start + step * at, -128, 127) for step in (-64, -16, -3, -1, 1, 3, 16, 64) for start in (-128, 0, 127)]
    return np.unique(np.array(rows, np.int8), axis=0)


def drawn(rng, rows, count):
    """Rows (rows count) of int8, in equal parts: uniform, of all magnitudes, of few levels, one code far above the rest."""
    part = -(-rows // 4)
    uniform = rng.integers(-128, 128, (part, count))
    small = rng.integers(-128, 128, (part, count)) >> rng.integers(0, 8, (part, 1))
    levels = np.take_along_axis(rng.integers(-128, 128, (part, 3)), rng.integers(0, 3, (part, count)), 1)
    far = rng.integers(-128, 0, (part, count))
    far[np.arange(part), rng.integers(0, count, part)] = rng.integers(0, 128, part)
    return np.concatenate([uniform, small, levels, far])[:rows].astype(np.int8)


def batches(function, rows, rng):
    """The arrays of codes (n c) that a form meets at one scale."""
    if function not in forms.ROWS:
        return [pairs()]
    each = max(1, round(rows / len(SCALES) / len(LENGTHS)))
    return [np.concatenate([adversarial(count), drawn(rng, each, count)]) for count in LENGTHS]


def measured(form, rows):
    """What is told of one form: of each scale that it takes, the largest and the mean error, in units of y and in LSB."""
    rng, found = np.random.default_rng(20261121), []
    bound = getattr(ops.load(form.op), "bound", None)
    for scale in SCALES:
        told = {"scale": scale, "largest": 0.0, "mean": 0.0, "lsb": 0.0, "compared": 0, "bound": bool(bound)}
        told["beyond_the_bound"] = 0
        total, refused = 0.0, {}
        for q in batches(form.function, rows, rng):
            try:
                values, told["lsb"] = form.values(q, scale)
            except IllFormed as e:
                refused[q.shape[1]] = str(e)
                continue
            error = np.abs(values - forms.real(form.function, q * scale))
            told["largest"], told["compared"], total = max(told["largest"], float(error.max())), told["compared"] + error.size, \
                total + float(error.sum())
            told["beyond_the_bound"] += int((error > bound(form.row, scale, q.shape[1])).sum()) if bound else 0
            told["mean"] = total / told["compared"]
        found.append(told | {"refused_lengths": refused})
    return {"function": form.function, "operation": form.op, "dialects": list(form.dialects), "scales": found}


def table(results):
    """The README's lines: of each form the scale at which it errs most, and 2**-4, a common one; forms of an operation that err
    alike share a line."""
    lines = ["| function | form | dialects | largest error (at scale) | in LSB | mean there | largest at 2^-4 | mean at 2^-4 |",
             "|---|---|---|---:|---:|---:|---:|---:|"]
    alike = {}
    for r in results:
        taken = [s for s in r["scales"] if s["compared"]]
        worst, usual = max(taken, key=lambda s: s["largest"]), next((s for s in taken if s["scale"] == 1 / 16), None)
        at = f"2^{int(np.log2(worst['scale']))}" if worst["scale"] < 1 else "1"
        usually = (f"{usual['largest']:.3g}", f"{usual['mean']:.2g}") if usual else ("refused", "")
        lsb = f"{worst['largest'] / worst['lsb']:.3g}" if worst["lsb"] > 2.0 ** -16 else "a register"
        said = (r["function"], f"`{r['operation']}`", f"{worst['largest']:.3g} ({at})", lsb, f"{worst['mean']:.2g}", *usually)
        alike.setdefault(said, []).extend(r["dialects"])
    for (function, form, *numbers), names in alike.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        told = " ".join(f"`{name}`" for name in sorted(names)[:3]) + more
        lines.append(f"| {' | '.join((function, form, told, *numbers))} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--function", choices=tuple(forms.NODES))
    parser.add_argument("--rows", type=float, default=ROWS)
    chosen = parser.parse_args()
    names = (chosen.function,) if chosen.function else tuple(forms.NODES)
    results = []
    for form in (form for name in names for form in forms.forms(name)):
        results.append(measured(form, chosen.rows))
        print(table(results[-1:])[-1], flush=True)
    beyond = [r for r in results if any(s.get("beyond_the_bound") for s in r["scales"])]
    for r in beyond:
        print(f"{r['operation']} leaves its bound: {[s for s in r['scales'] if s.get('beyond_the_bound')]}", file=sys.stderr)
    if not beyond and not chosen.function and chosen.rows == ROWS:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        marked.write(README, FIRST, LAST, "\n".join(table(results)) + "\n")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
