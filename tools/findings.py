"""What refq.testing finds in quantizers that people use: every function, every law, the smallest input that breaks it.

    python -m tools.findings                     all that are installed; writes tools/findings.json and the tables in the README
    python -m tools.findings --family pytorch    one family of tools/quantizers, printed and not written

A finding is a law of refq.testing that does not hold, on the first of a function's grids on which it does not; laws that one
cause breaks together share a line. What a function computes (its tie rule, its quotient, what a NaN becomes) is found by looking
at codes. Exit status 1 where findings are other ones than those stored (an engine has changed, or a law).
"""
import argparse
import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np

from refq.testing import examine_quantizer, places
from refq.testing.reproduce import number
from tools import marked, quantizers

ROOT = Path(__file__).resolve().parent.parent
RESULTS, README = ROOT / "tools" / "findings.json", ROOT / "README.md"
FIRST, LAST = "<!-- findings: python -m tools.findings -->", "<!-- end of findings -->"
EXAMPLES = 10
"""Arrays drawn for each law, beside all critical reals."""
TOGETHER = (("saturates", "keeps_order", "stays_within_half_a_step", "is_symmetric", "takes_slices_alike"),
            ("ignores_neighbours", "follows_one_tie_rule"))
"""Laws that one cause breaks: the first of them that is broken names it, and the others are said with it."""


def families():
    """The files of tools/quantizers that have subjects."""
    return tuple(sorted(m.name for m in iter_modules(quantizers.__path__) if m.name != "subject"))


def told(grid):
    """A grid in a few words."""
    if grid.kind not in ("affine", "power_of_two"):
        return grid.describe().get("format", grid.kind)
    scale, zero = (np.ravel(v)[0] for v in (grid.scale, grid.zero))
    along = "" if grid.axis is None else f", per channel of axis {grid.axis}"
    return f"{grid.width}, scale {'f32(0.1)' if scale == float(np.float32(0.1)) else number(scale)}, zero point {zero}{along}"


def inputs(x):
    """A short array as text."""
    return np.array2string(x, separator=", ", floatmode="unique", threshold=12).replace("\n", "").replace(".,", ",")


def asked(family, subject):
    """(findings, identification) of one function, as plain data."""
    version, seen, identified, count = import_module(f"tools.quantizers.{family}").version(), {}, None, 0
    for grid in subject.grids:
        report = examine_quantizer(subject.quantize, subject.dequantize, grid, subject.claims, subject.waived, subject.ties_are,
                                   subject.dtype, EXAMPLES)
        identified, count = identified or report.identified, count + report.inputs
        for broken in report.broken:
            seen.setdefault(broken.law, (grid, broken))
    found = []
    for law, (grid, broken) in seen.items():
        group = next((g for g in TOGETHER if law in g), (law,))
        here = [name for name in group if name in seen]
        if here[0] == law:
            found.append({"law": law, "sentence": broken.sentence, "also": here[1:], "grid": told(grid),
                          "input": inputs(broken.input), "seen": broken.seen, "reproducer": broken.reproducer})
    common = {"family": family, "version": version, "function": subject.name}
    return [common | f for f in found], common | {"grids": len(subject.grids), "inputs": count} | identified


def differences(subjects):
    """Of functions of one group that are asked on the same grid per tensor: reals inside the range to which some give other codes
    than most do: for each such set of functions, on the first grid, the real nearest to 0, and how many of the critical reals."""
    found, groups, known = [], {}, []
    for subject in subjects:
        for grid in (g for g in subject.grids if subject.group and g.axis is None):
            groups.setdefault((subject.group, json.dumps(grid.describe())), []).append((subject, grid))
    for members in groups.values():
        grid = members[0][1]
        low, high = grid.decode(np.array([grid.lo, grid.hi]))
        pool = places.places(grid)[0]
        x = pool[(pool >= low) & (pool <= high)]
        codes = {}
        for subject, _ in members:
            made = np.asarray(subject.quantize(x.copy(), grid)).astype(np.int64)
            codes.setdefault(made.tobytes(), (made, []))[1].append(subject.name)
        (most, agreeing), *others = sorted(codes.values(), key=lambda c: -len(c[1]))
        for made, names in (o for o in others if o[1] not in known):
            known.append(names)
            apart = np.flatnonzero(made != most)
            place = apart[np.argmin(np.abs(x[apart]))]
            found.append({"where": told(grid), "x": repr(x[place].item()), "differing": len(apart), "of": len(x),
                          "gives": {str(most[place]): agreeing, str(made[place]): names}})
    return found


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def tables(results):
    """The README's lines: findings, where functions differ, and what they compute."""
    lines = ["| function | law that breaks | grid | smallest input | what comes |", "|---|---|---|---|---|"]
    for f in results["findings"]:
        also = f" (so also {', '.join(f'`{name}`' for name in f['also'])})" if f["also"] else ""
        lines.append(f"| {f['function']} | `{f['law']}`{also} | {f['grid']} | {f['input']} | {cell(f['seen'])} |")
    lines += ["", "| where functions differ | x | gives | critical reals |", "|---|---|---|---:|"]
    for d in results["differences"]:
        gives = "; ".join(f"{code}: {', '.join(names)}" for code, names in d["gives"].items())
        lines.append(f"| {d['where']} | {d['x']} | {gives} | {d['differing']} of {d['of']} |")
    lines += ["", "| function | version | ties | quotient | NaN |", "|---|---|---|---|---|"]
    for i in results["identified"]:
        said = (i["function"], i["version"], i["ties"], i.get("arithmetic", ""), i["NaN"])
        lines.append(f"| {' | '.join(map(cell, said))} |")
    return lines


def computed(names):
    """The results of these families as plain data; those that are not installed are left out."""
    findings, identified, subjects, apart = [], [], [], []
    for family in names:
        module = import_module(f"tools.quantizers.{family}")
        try:
            module.version()
        except ImportError as error:
            print(f"{family}: {error}; left out", file=sys.stderr)
            continue
        for subject in module.subjects():
            found, about = asked(family, subject)
            findings += found
            identified.append(about)
            subjects.append(subject)
            print(f"{family}: {subject.name}: {len(found)} findings on {about['inputs']} inputs", flush=True)
        apart += module.differences() if hasattr(module, "differences") else []
    return {"findings": findings, "identified": identified, "differences": differences(subjects) + apart}


def main():
    warnings.simplefilter("ignore")     # of the engines; what they warn of is not asked
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=families(), action="append")
    chosen = parser.parse_args()
    results = computed(chosen.family or families())
    print("\n".join(tables(results)))
    if chosen.family:
        return 0
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else results
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if FIRST in README.read_text():
        marked.write(README, FIRST, LAST, "\n".join(tables(results)) + "\n")
    same = [(f["function"], f["law"]) for f in before["findings"]] == [(f["function"], f["law"]) for f in results["findings"]]
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
