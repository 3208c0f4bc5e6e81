"""Write what is kept of recorded runs: the embedded network's grids, the hashes of its packs, and the golden packs of vectors.

    python tools/record.py               refq/embedded/grids.json, golden/*/ and golden/hashes.json
    python tools/record.py --check       says what would change, and ends with status 1 where something would
    python tools/record.py --table       the mutation scores of the golden packs, as a table
    python tools/record.py --only NAME ...   only those golden packs, drawn anew
    python tools/record.py --missing     only the golden packs that are not there
    python tools/record.py --networks    only the grids, and the hashes of networks

Nothing here is edited by hand. A hash that changes is explained in the commit that changes it; `--check` says pack,
tensor and code. A golden pack is drawn once and checked by making its configurations again from their seed and running
them by kernels and specs, which have to agree.
"""
import argparse
import json
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from refq import dialects, embedded, ops, recipes
from refq.errors import IllFormed
from refq.graph.calibrate import choose, observe
from refq.graph.quantize import quantize
from refq.ints.accumulate import Accumulate
from refq.ints.row import Row, differences
from refq.load.network import load
from refq.vectors.draw import again, draw
from refq.vectors.pack import read
from refq.vectors.record import record

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "golden"
CASES = 4
SPINE = ("ivit", "onnx", "tflite", "tosa")
"""The dialects whose whole networks are recorded; the others share their operations, and each distinct row has its pack."""
UNITS = (("matmul+rescale", "tflite"), ("matmul+rescale", "tosa"), ("conv2d+rescale", "tflite"), ("softmax+rescale", "ivit"))
"""What real kernels are: several steps as one."""
BUDGETS = {"batch_matmul": 40960, "mean": 24576, "conv2d": 40960, "ilayernorm": 32768, "layernorm_fqvit": 32768,
           **dict.fromkeys(("add", "gelu_hard", "layernorm_ibert", "shiftgelu", "shiftgelu_int32", "shiftmax", "softmax_base2",
                            "softmax_ibert", "softmax_streaming", "softmax_tosa"), 24576),
           "matmul+rescale": 49152, "conv2d+rescale": 49152}
"""Bytes of codes where 16 KiB hold too few long sums, or too few constants."""


def grids():
    """Every choice of grids of the embedded network: one for each recipe and kind of dialect."""
    network, images = load(embedded.network()), embedded.as_input(embedded.calibration())
    made = {}
    for recipe in map(recipes.load, recipes.names()):
        ranges = observe(network, images, recipe)
        for dialect in map(dialects.load, SPINE):
            chosen = choose(network, ranges, recipe, dialect)
            made[embedded.key(recipe.name, dialect.asymmetric)] = {g: a.describe() for g, a in sorted(chosen.items())}
    return made


def hashes():
    """The pack hash of the first images of the embedded network, for every recipe and dialect of the spine; and of families."""
    network, images, made = load(embedded.network()), embedded.as_input(embedded.images()[:CASES]), {}
    for recipe in recipes.names():
        for dialect in SPINE:
            kept = embedded.grids(recipe, dialects.load(dialect).asymmetric)
            program = quantize(network, None, recipe, dialect, kept)
            with tempfile.TemporaryDirectory() as folder:
                made[f"digits {recipe} {dialect}"] = record(program, images, Path(folder) / "pack", CASES).hash
    return made | families()


def families():
    """The pack hash of a drawn network of each family, under each dialect that families are recorded under."""
    sys.path.append(str(ROOT))          # as a script it finds only what lies in tools/
    from tools.families import PAIRS, program
    made = {}
    for family, dialect in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            made[f"{family} int8 {dialect}"] = record(*program(family, dialect), Path(folder) / "pack", 1).hash
    return made


def wanted():
    """Name of a golden pack to (chain, dialect): every operation under every row that computes in its own way, of a dialect or
    published alone, and some units.

    Rows that differ only in how constants are made of real scales have one pack: its constants are drawn as they are."""
    found = {}
    for dialect in dialects.names():
        for role, part in dialects.load(dialect).roles.items():
            found.setdefault((part.op, acting(part.row)), (role, dialect))
    names = {}
    for op, row in found:
        names.setdefault(named(op, row, False), []).append((op, row))
    packs = {named(op, row, len(rows) > 1): found[op, row] for rows in names.values() for op, row in rows}
    for op in ops.names():
        for name, row in ops.published(op).items():
            if (op, acting(row)) not in found:
                packs[f"{op}-{name}"] = f"{op}:{name}", "tflite"
    return packs | {f"{chain.replace('+', '-')}-{dialect}": (chain, dialect) for chain, dialect in UNITS}


SHOWN = ("multiplier", "form", "ties")
"""Fields that act when constants are built, and that drawn constants show."""


def acting(row):
    """The row with what acts when constants are built at its default, where drawn constants do not show it."""
    idle = {f.name: f.default for f in fields(row) if f.metadata.get("acts") == "build" and f.name not in SHOWN}
    try:
        return replace(row, **idle)
    except IllFormed:
        return row


def named(op, row, fully):
    """A folder's name: the operation, and what its row says that is not usual; with the fields' names where it says so."""
    said = []
    for f in fields(row):
        value = getattr(row, f.name)
        if value == f.default:
            continue
        if isinstance(value, Accumulate):
            rest = {k: v for k, v in differences(value).items() if k not in ("order", "overflow")}
            said += [value.order, value.overflow, *map(str, rest.values())]
        elif isinstance(value, Row):
            said += [f"{k}_{v}".lower() for k, v in differences(value).items()]
        else:
            said.append(str(value) if isinstance(value, str) and not fully else f"{f.name}_{value}".lower())
    return "-".join((op, *said))


def drawn(chain, dialect, out):
    """Draw vectors and record them as a golden pack in the folder `out`."""
    roles = dialects.load(dialect).roles
    vectors = draw(chain, dialect, budget=BUDGETS.get(roles[chain].op if chain in roles else chain.partition(":")[0], 16384))
    if out.exists():
        shutil.rmtree(out)
    return record(vectors.program, vectors.inputs, out, vectors.cases, about=vectors.about)


def reproduced(name, folder):
    """The golden pack `name` made again from its seed, by kernels and specs, in the folder `folder`."""
    old = read(GOLDEN / name)
    how = old.manifest["about"]["vectors"]
    program, inputs = again(how["chain"], how["dialect"], how["configurations"], how["shape"] or None, how["seed"])
    return record(program, inputs, folder / name, old.cases)


def drift(old, new):
    """Lines that say what changed between two packs of one name: tensor, and the first code."""
    gone = [n for n in old.program.tensors if n not in new.program.tensors]
    if gone or len(old.program.tensors) != len(new.program.tensors):
        return [f"other tensors: {len(gone)} are gone, {len(new.program.tensors)} in all"]
    lines = [f"step {a.name}: row {a.row} became {b.row}" for a, b in zip(old.program.steps, new.program.steps) if a.row != b.row]
    lines += [changed(n, np.asarray(c), np.asarray(new.program.constants[n])) for n, c in old.program.constants.items()
              if n in new.program.constants and not np.array_equal(c, new.program.constants[n])]
    for i in range(min(old.cases, new.cases)):
        before, after = old.case(i), new.case(i)
        lines += [f"case {i}, {changed(n, before[n], after[n])}" for n in old.recorded if not np.array_equal(before[n], after[n])]
    return lines or ["operations or rows only"]


def changed(name, old, new):
    if old.shape != new.shape:
        return f"tensor {name}: shape {old.shape} became {new.shape}"
    where = np.argwhere(old != new)
    at = tuple(where[0].tolist())
    return f"tensor {name}: {len(where)} of {old.size} codes changed, the first at {at}: {old[at]} became {new[at]}"


def check_packs(kept):
    """One line for everything about the golden packs that is not as golden/hashes.json says."""
    lines, names = [], wanted()
    there = {p.name for p in GOLDEN.iterdir() if p.is_dir()}
    lines += [f"golden/{name}: is missing" for name in names if name not in there]
    lines += [f"golden/{name}: no operation and row of the dialects" for name in sorted(there - set(names))]
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(there & set(names)):
            old = read(GOLDEN / name)
            old.check()
            new = reproduced(name, Path(folder))
            if old.hash != kept.get(f"vectors {name}"):
                lines.append(f"golden/{name}: its hash is not the one in golden/hashes.json")
            if new.hash != old.hash:
                lines += [f"golden/{name}: {line}" for line in drift(old, new)[:8]]
    return lines


def write_packs(names):
    """Draw these golden packs anew, in as many processes as there are processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(written, name, *how) for name, how in wanted().items() if name in names]:
            print(done.result(), flush=True)
    for folder in GOLDEN.iterdir():
        if folder.is_dir() and folder.name not in wanted():
            shutil.rmtree(folder)


def written(name, chain, dialect):
    """Draw one golden pack: its row of the table."""
    return line(name, drawn(chain, dialect, GOLDEN / name).manifest["about"])


def line(name, about):
    """A row of the table."""
    how, s = about["vectors"], about["mutation_score"]
    b = s["bugs"]
    bugs, everywhere = b["mutants"] - b["equivalent"], s["mutants"] - s["equivalent"]
    return (f"| `{name}` | {how['bytes']:,} | {b['killed']} of {bugs} | {b['equivalent']} | {b['survivors']} "
            f"| {s['killed']:,} of {everywhere:,} |")


def table():
    head = ["| golden pack | bytes of codes | bugs killed | proved equivalent | unseen | killed, region by region |",
            "|---|---|---|---|---|---|"]
    return "\n".join(head + [line(p.name, read(p).manifest["about"]) for p in sorted(GOLDEN.iterdir()) if p.is_dir()])


def text(value):
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def check():
    """What `--check` says: one line for each thing that would change."""
    kept = json.loads((GOLDEN / "hashes.json").read_text())
    lines = check_packs(kept)
    if (ROOT / "refq/embedded/grids.json").read_text() != text(grids()):
        lines.append("refq/embedded/grids.json changed")
    for name, value in hashes().items():
        if kept.get(name) != value:
            lines.append(f"golden/hashes.json: {name} changed")
    return lines


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--table", action="store_true")
    what.add_argument("--networks", action="store_true")
    what.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(wanted()))
    what.add_argument("--missing", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.table:
        print(table())
        return 0
    if chosen.check:
        lines = check()
        print("\n".join(lines) or "nothing changed")
        return 1 if lines else 0
    GOLDEN.mkdir(exist_ok=True)
    path = GOLDEN / "hashes.json"
    made = {} if not path.exists() else {k: v for k, v in json.loads(path.read_text()).items() if not k.startswith("vectors ")}
    if not (chosen.only or chosen.missing):
        (ROOT / "refq/embedded/grids.json").write_text(text(grids()))
        made = hashes()
    if not chosen.networks:
        write_packs(chosen.only or [n for n in wanted() if not (chosen.missing and (GOLDEN / n).exists())])
    path.write_text(text(made | {f"vectors {n}": read(GOLDEN / n).hash for n in wanted() if (GOLDEN / n).exists()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
