"""How long refq takes to start: the import, the help text, and `refq golden` with nothing compiled and with all of it.

    python -m tools.bench.startup              medians of 7 processes; the cold run, which compiles, is done once
    python -m tools.bench.startup --profile    also the slowest imports, and the functions where a warm golden run is
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent.parent
MAIN = "from refq.cli import main; main(prog_name='refq')"


def python(*arguments, **environment):
    """A fresh Python of this checkout, run to its end."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)} | environment)


def seconds(*arguments, **environment):
    """(wall, processor) seconds of a fresh Python; the second is what a busy machine leaves alone."""
    started, used = perf_counter(), processor()
    python(*arguments, **environment)
    return perf_counter() - started, processor() - used


def processor():
    """Processor seconds of all children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def golden(folder, cache):
    """`seconds` of `refq golden` into a new folder, with its compiled kernels in `cache`."""
    out = Path(tempfile.mkdtemp(dir=folder)) / "pack"
    return seconds("-c", MAIN, "golden", "--out", str(out), REFQ_CACHE_DIR=cache)


def slow_imports(most=12):
    """(milliseconds with all that they import, module) of the slowest imports of `refq golden`."""
    code = "import refq.cli.golden"
    said = python("-X", "importtime", "-c", code).stderr
    found = [(int(m[2]) / 1e3, m[3]) for m in re.finditer(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)", said)]
    return sorted(found, reverse=True)[:most]


def profile(folder, cache, most=30):
    """The functions in which a warm golden run is, by cumulated time."""
    code = (f"import sys, cProfile, pstats; sys.argv = ['refq', 'golden', '--out', {str(Path(folder) / 'profiled')!r}]\n"
            "from refq.cli import main\n"
            "p = cProfile.Profile()\ntry: p.runcall(main)\nexcept SystemExit: pass\n"
            f"pstats.Stats(p).sort_stats('cumulative').print_stats({most})")
    return python("-c", code, REFQ_CACHE_DIR=cache).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--profile", action="store_true")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "cache")
        seconds("-c", "import refq"), seconds("-c", MAIN, "--help")      # bytecode is written, files are in memory
        rows = [("python -c pass", [seconds("-c", "pass") for _ in range(a.runs)], None),
                ("import refq", [seconds("-c", "import refq") for _ in range(a.runs)], 0.25),
                ("refq --help", [seconds("-c", MAIN, "--help") for _ in range(a.runs)], 0.5),
                ("refq golden, cold", [golden(folder, cache)], 60),
                ("refq golden, warm", [golden(folder, cache) for _ in range(max(3, a.runs // 2))], 3)]
        print(f"{'command':<20} {'runs':>4} {'median s':>9} {'least s':>8} {'processor s':>11} {'goal s':>7}")
        for name, taken, goal in rows:
            wall, used = zip(*taken)
            print(f"{name:<20} {len(taken):4d} {median(wall):9.3f} {min(wall):8.3f} {median(used):11.3f} {goal or '':>7}")
        if a.profile:
            print("\nimports (cumulated milliseconds)")
            for taken, module in slow_imports():
                print(f"{taken:9.1f}  {module}")
            print(profile(folder, cache))


if __name__ == "__main__":
    main()
