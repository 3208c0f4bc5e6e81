"""What refq's dialects claim, run against the engines themselves: engine x operation x codes compared x mismatches.

    python -m tools.conformance                       every engine that is installed, 10 million codes an operation; writes
                                                      tools/conformance.json and the table in the README
    python -m tools.conformance --engine NAME ...     those engines only
    python -m tools.conformance --operation WORDS     campaigns whose name holds these words only
    python -m tools.conformance --elements 2e6        fewer codes an operation, printed and not written
    python -m tools.conformance --list                the campaigns

A campaign is one variant of an operation (its first word: `conv2d groups per channel` is one of conv2d); the variants of an
operation share its codes, and a part of a run takes as many of each variant as a whole run. A run at the full number of codes
writes the operations that passed in place of what was stored of them; what is no campaign any more is dropped. Exit status 1
where codes differ and no sentence explains it, where more of them differ or differ by more than that reason allows, or where
fewer than a tenth of the codes of an operation are hard: ties, saturated, or (of reals) inexact.
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

from tools import engines, marked
from tools.engines.campaign import Campaign, run

ROOT = Path(__file__).resolve().parent.parent
RESULTS, README = ROOT / "tools" / "conformance.json", ROOT / "README.md"
FIRST, LAST = "<!-- conformance: python -m tools.conformance -->", "<!-- end of conformance -->"
HARD = 0.1
"""The least share of hard codes in an operation."""
ELEMENTS = 1e7
"""The codes of an operation, over its variants."""


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
            "furthest": tally.furthest, "seconds": round(tally.seconds, 1), "witness": tally.witness,
            "explained": campaign.explained, "apart": campaign.apart, "share": campaign.share, "moves": campaign.moves}


def failures(results):
    """A sentence for every campaign whose codes differ without a reason or beyond what it allows, and for every operation with
    too few hard codes."""
    said = [f"{r['engine']} {r['operation']}: {beyond}: {r['witness']}" for r in results if (beyond := excess(r))]
    for (name, asked), group in grouped(results).items():
        share = sum(r["hard"] for r in group) / max(1, sum(r["compared"] for r in group))
        if share < HARD and not all(r["moves"] for r in group):
            said.append(f"{name} {asked}: only {100 * share:.1f} % of the codes are ties, saturated or inexact")
    return said


def excess(result):
    """What of a result its campaign does not allow, in words; else ""."""
    allowed = Campaign(result["operation"], result["dialect"], None, result["explained"], result["apart"], result["share"])
    return allowed.excess(result["mismatches"], result["compared"], result["furthest"])


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
    lines = ["| engine | operation | variants | dialect | codes compared | ties, saturated, inexact | mismatches |",
             "|---|---|---:|---|---:|---:|---:|"]
    notes = {}
    for (name, asked), group in grouped(results).items():
        compared, wrong = (sum(r[k] for r in group) for k in ("compared", "mismatches"))
        marks = [notes.setdefault(r["explained"], len(notes) + 1) for r in group if r["mismatches"]]
        spoken = " ".join(dict.fromkeys(f"`{r['dialect']}`" for r in group))
        lines.append(f"| {name} {group[0]['version']} | {asked} | {len(group)} | {spoken} | {compared:,} | "
                     f"{hardness(group)} | {wrong:,}{''.join(f' ({m})' for m in dict.fromkeys(marks))} |")
    return "\n".join([*lines, "", *(f"{mark}. {note}" for note, mark in notes.items())])


def hardness(group):
    """The share of hard codes of an operation's variants; "exact" where they only move codes."""
    hard, compared = (sum(r[k] for r in group) for k in ("hard", "compared"))
    return "exact" if all(r["moves"] for r in group) else f"{100 * hard / max(1, compared):.0f} %"


def told(result):
    share = 100 * result["hard"] / max(1, result["compared"])
    words = f"{result['engine']:24} {result['operation']:44} {result['dialect']:16} {result['compared']:>12,} " \
            f"{share:5.1f} % hard {result['mismatches']:>9,} differ {result['seconds']:6.1f} s"
    return words


def stored():
    """The results of the last runs, one for each campaign."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def merged(old, new, present):
    """`old` results with `new` ones in the place of those of the same campaigns. `present`: (engine, operation) of every campaign
    that there is, in order; results of others are dropped, except of engines of which none is present."""
    found = {(r["engine"], r["operation"]): r for r in [*old, *new]}
    order = {key: i for i, key in enumerate(present)}
    absent = [key for key in found if key not in order and key[0] not in {name for name, _ in order}]
    return [found[key] for key in sorted([*absent, *(k for k in order if k in found)], key=lambda k: (k[0], order.get(k, 0)))]


def present():
    """(engine, operation) of every campaign of the engines that are installed."""
    return [(n, engine(n).campaigns[i].operation) for n, i in planned(names())[0]]


def judged(results, old, every):
    """(sentences, passed) of new results: what failed, and those whose operation, with what is stored of its other variants, did
    not."""
    whole, wrong, passed = grouped(merged(old, results, every)), [], []
    for key, group in grouped(results).items():
        said = failures(whole[key])
        wrong += said
        passed += [] if said else group
    return wrong, passed


def store(results):
    """Writes them in the place of those stored of their campaigns, and the README's table."""
    kept = merged(stored(), results, present())
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    into_readme(kept)


def into_readme(results):
    marked.write(README, FIRST, LAST, table(results))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", nargs="+", choices=names(), default=names())
    parser.add_argument("--elements", type=float, default=ELEMENTS)
    parser.add_argument("--seconds", type=float, default=60, help="the most that a campaign takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--operation", default="", help="only campaigns whose operation holds this text")
    asked = parser.parse_args(arguments)
    plan, missing = planned(asked.engine)
    variants = Counter((n, operation(engine(n).campaigns[i].operation)) for n, i in plan)
    plan = [(n, i) for n, i in plan if asked.operation in engine(n).campaigns[i].operation]
    print(*missing, sep="\n", end="\n" if missing else "")
    if asked.list:
        print(*(f"{n:24} {engine(n).campaigns[i].operation:44} {engine(n).campaigns[i].dialect}" for n, i in plan), sep="\n")
        return 0
    start, results = time.perf_counter(), []
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        each = [asked.elements / variants[n, operation(engine(n).campaigns[i].operation)] for n, i in plan]
        for done in [pool.submit(one, n, i, elements, asked.seed, asked.seconds) for (n, i), elements in zip(plan, each)]:
            results.append(done.result())
            print(told(results[-1]), flush=True)
    wrong, passed = judged(results, stored(), present())
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(results)} campaigns, {sum(r['compared'] for r in results):,} codes, {time.perf_counter() - start:.0f} s, "
          f"{len(wrong)} failed")
    if asked.elements >= ELEMENTS and passed:
        store(passed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
