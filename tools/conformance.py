"""What refq's dialects claim, run against the engines themselves: engine x operation x codes compared x mismatches.

    python -m tools.conformance                       every engine that is installed, 10 million codes an operation; writes
                                                      tools/conformance.json and the table in the README
    python -m tools.conformance --engine NAME ...     those engines only, printed
    python -m tools.conformance --elements 2e6        fewer codes an operation
    python -m tools.conformance --list                the campaigns

A campaign is one variant of an operation (its first word: `conv2d groups per channel` is one of conv2d); the variants of an
operation share its codes. Exit status 1 where codes differ and no sentence explains it, or where fewer than a tenth of the codes
of an operation are ties or saturated.
The engines are in tools/engines, one a file; `pip install ".[test,peers]"` brings those that Python has.
"""
import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from pkgutil import iter_modules

from tools import engines
from tools.engines.campaign import run

ROOT = Path(__file__).resolve().parent.parent
RESULTS, README = ROOT / "tools" / "conformance.json", ROOT / "README.md"
FIRST, LAST = "<!-- conformance: python -m tools.conformance -->", "<!-- end of conformance -->"
HARD = 0.1
"""The least share of ties and saturated codes in a campaign."""


def names():
    """The files of tools/engines that hold campaigns."""
    found = (m.name for m in iter_modules(engines.__path__))
    return tuple(sorted(name for name in found if not name.endswith("_models") and name != "campaign"))


def engine(name):
    return import_module(f"tools.engines.{name}")


def one(name, index, elements, seed, seconds=None):
    """The result of one campaign as plain data; for a process of a pool."""
    module = engine(name)
    campaign = module.campaigns[index]
    tally = run(campaign, elements, seed, seconds)
    return {"engine": name, "version": module.version(), "operation": campaign.operation, "dialect": campaign.dialect,
            "compared": tally.compared, "hard": tally.hard, "mismatches": tally.mismatches, "models": tally.models,
            "seconds": round(tally.seconds, 1), "witness": tally.witness, "explained": campaign.explained}


def failures(results):
    """A sentence for every campaign whose codes differ without a reason, and for every operation with too few hard codes."""
    said = [f"{r['engine']} {r['operation']}: {r['mismatches']:,} of {r['compared']:,} codes differ: {r['witness']}"
            for r in results if r["mismatches"] and not r["explained"]]
    for (name, asked), group in grouped(results).items():
        share = sum(r["hard"] for r in group) / max(1, sum(r["compared"] for r in group))
        if share < HARD:
            said.append(f"{name} {asked}: only {100 * share:.1f} % of the codes are ties or saturated")
    return said


def planned(chosen):
    """(engine, index) of every campaign, and a sentence for each engine that cannot run."""
    plan, missing = [], []
    for name in chosen:
        try:
            engine(name).version()
        except ImportError as e:
            missing.append(f"{name} is not installed: {e}")
            continue
        plan += [(name, i) for i in range(len(engine(name).campaigns))]
    return plan, missing


def operation(text):
    """The operation that a campaign is a variant of: its first word."""
    return text.split()[0].strip(",")


def grouped(results):
    """(engine, operation) to the results of its variants."""
    groups = {}
    for r in results:
        groups.setdefault((r["engine"], operation(r["operation"])), []).append(r)
    return groups


def table(results):
    """The README's table: Markdown, one line for each engine and operation, and the explanations below it."""
    lines = ["| engine | operation | variants | dialect | codes compared | ties, saturated | mismatches |",
             "|---|---|---:|---|---:|---:|---:|"]
    notes = {}
    for (name, asked), group in grouped(results).items():
        compared, hard, wrong = (sum(r[k] for r in group) for k in ("compared", "hard", "mismatches"))
        marks = [notes.setdefault(r["explained"], len(notes) + 1) for r in group if r["mismatches"]]
        spoken = " ".join(dict.fromkeys(f"`{r['dialect']}`" for r in group))
        lines.append(f"| {name} {group[0]['version']} | {asked} | {len(group)} | {spoken} | {compared:,} | "
                     f"{100 * hard / max(1, compared):.0f} % | {wrong:,}{''.join(f' ({m})' for m in dict.fromkeys(marks))} |")
    return "\n".join([*lines, "", *(f"{mark}. {note}" for note, mark in notes.items())])


def told(result):
    share = 100 * result["hard"] / max(1, result["compared"])
    words = f"{result['engine']:24} {result['operation']:44} {result['dialect']:16} {result['compared']:>12,} " \
            f"{share:5.1f} % hard {result['mismatches']:>9,} differ {result['seconds']:6.1f} s"
    return words


def stored():
    """The results of the last whole run."""
    return json.loads(RESULTS.read_text())


def into_readme(results):
    text = README.read_text()
    head, rest = text.split(FIRST)
    tail = rest.split(LAST)[1]
    README.write_text(f"{head}{FIRST}\n\n{table(results)}\n{LAST}{tail}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", nargs="+", choices=names(), default=names())
    parser.add_argument("--elements", type=float, default=1e7)
    parser.add_argument("--seconds", type=float, default=60, help="the most that a campaign takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--operation", default="", help="only campaigns whose operation holds this text")
    asked = parser.parse_args(arguments)
    plan, missing = planned(asked.engine)
    plan = [(n, i) for n, i in plan if asked.operation in engine(n).campaigns[i].operation]
    print(*missing, sep="\n", end="\n" if missing else "")
    if asked.list:
        print(*(f"{n:24} {engine(n).campaigns[i].operation:44} {engine(n).campaigns[i].dialect}" for n, i in plan), sep="\n")
        return 0
    start, results, variants = time.perf_counter(), [], Counter((n, operation(engine(n).campaigns[i].operation)) for n, i in plan)
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        each = [asked.elements / variants[n, operation(engine(n).campaigns[i].operation)] for n, i in plan]
        for done in [pool.submit(one, n, i, elements, asked.seed, asked.seconds) for (n, i), elements in zip(plan, each)]:
            results.append(done.result())
            print(told(results[-1]), flush=True)
    wrong = failures(results)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(results)} campaigns, {sum(r['compared'] for r in results):,} codes, {time.perf_counter() - start:.0f} s, "
          f"{len(wrong)} failed")
    if asked.engine == names() and not asked.operation and not missing and not wrong:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        into_readme(results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
