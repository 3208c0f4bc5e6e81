"""refq under Arm's TOSA tests: the integer profile with int4, int16 and double rounding.

    python -m tools.tosa                 all: makes the environment of Arm's tools where it is absent (a venv with tosa-tools, in
                                         $REFQ_TOSA or ~/.cache/refq-tosa), generates the tests, runs them, prints operator x
                                         tests x equal x refused, writes tools/tosa/results.json
    python -m tools.tosa --sample        the few tests that CI runs, printed
    python -m tools.tosa --setup         the environment only
    python -m tools.tosa --operator add mul ... --folder DIR     these operators; the tests stay in DIR

Exit status 1 where a result differs from the reference model's, a forbidden graph is not refused for its reason, or fewer tests
were made than the last results have.
"""
import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tools.tosa import environment, suite

RESULTS = Path(__file__).with_name("results.json")
FULL, SAMPLE = (40, 20), (1, 1, ("type",))
"""How many tests of each rank and type of an operator, and of each ERROR_IF; in a sample, of each type."""
SMALL = ("--no-special-tests --tensor-dim-range 1,14 --conv-kernel 2,3 --max-conv-stride 2 --max-conv-dilation 1").split()


def stored():
    """The rows of the last full run, as plain data."""
    return json.loads(RESULTS.read_text())["rows"]


def lacking(rows):
    """Operators of the last full run that have fewer tests now."""
    now = {r.operator: (r.tests, r.forbidden) for r in rows}
    return [r["operator"] for r in stored() if now.get(r["operator"], (0, 0)) < (r["tests"], r["forbidden"])]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.tosa", description=__doc__.splitlines()[0])
    parser.add_argument("--operator", nargs="*")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args(arguments)
    environment.make()
    if asked.setup:
        return 0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        chosen = {"operators": asked.operator, "options": SMALL if asked.sample else ()}
        count = suite.generate(folder, *(SAMPLE if asked.sample else FULL), **chosen)
        print(f"{count:,} tests generated, {time.perf_counter() - start:.0f} s", flush=True)
        rows = suite.execute(folder)
    print(suite.table(rows))
    print(f"{sum(r.kernel for r in rows):,} operations by kernel, {sum(r.spec for r in rows):,} of them by spec too; "
          f"{time.perf_counter() - start:.0f} s")
    wrong = [f"{r.operator}: {text}" for r in rows for text in r.failed]
    print(*wrong[:40], sep="\n", end="\n" if wrong else "")
    whole = not asked.operator and not asked.sample
    if whole and RESULTS.exists() and (fewer := lacking(rows)):
        wrong.append(f"fewer tests than before of {', '.join(fewer)}")
        print(wrong[-1])
    if whole and not wrong:
        RESULTS.write_text(json.dumps({"version": environment.VERSION, "rows": [asdict(r) for r in rows]}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
