"""Write what is kept of recorded runs: the embedded network's grids, and the hashes of its packs.

    python tools/record.py            refq/embedded/grids.json and golden/hashes.json
    python tools/record.py --check    says what would change, and ends with status 1 where something would

Nothing here is edited by hand. A hash that changes is explained in the commit that changes it.
"""
import json
import sys
import tempfile
from pathlib import Path

from refq import dialects, embedded, recipes
from refq.graph.calibrate import choose, observe
from refq.graph.quantize import quantize
from refq.load.network import load
from refq.vectors.record import record

ROOT = Path(__file__).resolve().parent.parent
CASES = 4


def grids():
    """Every choice of grids of the embedded network: one for each recipe and kind of dialect."""
    network, images = load(embedded.network()), embedded.as_input(embedded.calibration())
    made = {}
    for recipe in map(recipes.load, recipes.names()):
        ranges = observe(network, images, recipe)
        for dialect in map(dialects.load, dialects.names()):
            chosen = choose(network, ranges, recipe, dialect)
            made[embedded.key(recipe.name, dialect.asymmetric)] = {g: a.describe() for g, a in sorted(chosen.items())}
    return made


def hashes():
    """The pack hash of the first images of the embedded network, for every recipe and dialect."""
    network, images, made = load(embedded.network()), embedded.as_input(embedded.images()[:CASES]), {}
    for recipe in recipes.names():
        for dialect in dialects.names():
            kept = embedded.grids(recipe, dialects.load(dialect).asymmetric)
            program = quantize(network, None, recipe, dialect, kept)
            with tempfile.TemporaryDirectory() as folder:
                made[f"digits {recipe} {dialect}"] = record(program, images, Path(folder) / "pack", CASES).hash
    return made


def text(value):
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def main(arguments):
    changed = []
    for path, make in ((ROOT / "refq/embedded/grids.json", grids), (ROOT / "golden/hashes.json", hashes)):
        new = text(make())
        if not path.exists() or path.read_text() != new:
            changed.append(str(path.relative_to(ROOT)))
            if arguments != ["--check"]:
                path.parent.mkdir(exist_ok=True)
                path.write_text(new)
    print("\n".join(f"{path} changed" for path in changed) or "nothing changed")
    return 1 if changed and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
