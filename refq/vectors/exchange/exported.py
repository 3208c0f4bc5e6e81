"""Export: a golden pack as the files that kernels, simulators and other tools take; and an index that says it all.

    index.json      what was exported, how, and of every array an entry: tensor, case (null: a constant, the same in all
                    cases), role, what it is to the unit (constant, operand, result), true width, signedness, shape, axes,
                    grid (scales as exact hex-float, zero points), file, order of elements, container or words, bytes,
                    sha256 of the file. So the way back needs nothing else.
    0000/, 0001/    the tensors of each case, constants/ what is the same in all (formats of their own keep their own order)

Without a unit everything goes out: inputs, constants, every recorded tensor. With one, what its steps take and give.
"""
import json
import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from refq.errors import IllFormed
from refq.graph.describe import grid_words
from refq.graph.program import Program
from refq.ints.row import plain
from refq.vectors.exchange import formats
from refq.vectors.exchange.words import bits_of
from refq.vectors.manifest import places, refq_version
from refq.vectors.pack import Pack, read
from refq.vectors.record import appearing
from refq.vectors.units import units

INDEX = "index.json"


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is exported of a pack: `units` (None: the whole program) and the number of `cases`."""

    pack: Pack
    units: list | None
    cases: int

    @property
    def program(self) -> Program:
        return self.pack.program

    @cached_property
    def steps(self):
        """The steps that are exported, in the program's order, each once."""
        chosen = {s.name for unit in self.units or () for s in unit.steps}
        return [s for s in self.program.steps if self.units is None or s.name in chosen]

    @cached_property
    def tensors(self):
        """Tensor to what it is here: constant, operand or result; in the order in which steps meet them."""
        found = {name: "operand" for name in self.program.inputs} if self.units is None else {}
        made = {t for s in self.steps for t in s.outputs.values()}
        for step in self.steps:
            for name in step.inputs.values():
                if name not in made:
                    found.setdefault(name, "constant" if name in self.program.constants else "operand")
            found.update(dict.fromkeys(step.outputs.values(), "result"))
        return found

    @property
    def results(self):
        """The results in which units end, or the outputs of the network."""
        if self.units is None:
            return list(self.program.outputs)
        return list(dict.fromkeys(t for unit in self.units for t in unit.steps[-1].outputs.values()))

    def case(self, i):
        """The codes of case i, by tensor, without constants."""
        codes = self.pack.case(i)
        return {name: codes[name] for name, what in self.tensors.items() if what != "constant"}

    def arrays(self):
        """Every array: (tensor, case or None, codes), constants first."""
        for name, what in self.tensors.items():
            if what == "constant":
                yield name, None, self.program.constants[name]
        for i in range(self.cases):
            for name, codes in self.case(i).items():
                yield name, i, codes

    @cached_property
    def stems(self):
        """Tensor to a name that every file system takes; no two alike."""
        return distinct(self.tensors, lambda name: re.sub(r"[^\w.-]", ".", name).lstrip(".-") or "tensor")

    @cached_property
    def axes(self):
        return {name: axes for name, (_, axes) in places(self.program).items()}

    def entry(self, name, case, **more):
        """The part of an index entry that does not depend on the format."""
        tensor = self.program.tensors[name]
        return {"tensor": name, "case": case, "is": self.tensors[name], "role": tensor.role, "width": str(tensor.width),
                "bits": bits_of(tensor.width), "signed": bool(getattr(tensor.width, "signed", True)),
                "shape": list(tensor.shape), "axes": self.axes.get(name, ""), "grid": grid_words(tensor.grid),
                "order": "row-major"} | more


def distinct(names, made):
    """Each name to `made(name)`, with a number behind it where two would be alike (on any file system)."""
    found, taken = {}, set()
    for name in names:
        base, tries = made(name), 1
        while (base if tries == 1 else f"{base}_{tries}").lower() in taken:
            tries += 1
        found[name] = base if tries == 1 else f"{base}_{tries}"
        taken.add(found[name].lower())
    return found


def one_file_each(chosen, folder, ending, encode, stated):
    """The entries of a format that keeps every array in a file of its own: `encode(codes, width)` gives its bytes,
    `stated(codes, width)` what the index says of it."""
    entries = []
    for name, case, codes in chosen.arrays():
        place = "constants" if case is None else f"{case:04d}"
        path, width = folder / place / (chosen.stems[name] + ending), chosen.program.tensors[name].width
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(codes, width))
        entries.append(chosen.entry(name, case, file=f"{place}/{path.name}", **stated(codes, width)))
    return entries


def choose(pack, unit=None, cases=None):
    """Chosen: `unit`: patterns of the names of its steps, in order (a list, or text with commas); `cases`: how many of
    them, the first ones (None: all)."""
    pack = pack if isinstance(pack, Pack) else read(pack)
    if cases is not None and not 1 <= cases <= pack.cases:
        raise IllFormed(f"--cases {cases}: the pack has {pack.cases}; take 1 to {pack.cases}")
    patterns = [p.strip() for p in unit.split(",")] if isinstance(unit, str) else unit
    found = units(pack.program, patterns, "--unit") if patterns else None
    return Chosen(pack, found, cases or pack.cases)


def export(pack, to, out, unit=None, cases=None, **options):
    """Write a pack into the folder `out` in the format `to`; gives the index.

    `pack`: a Pack or its folder; `unit`, `cases`: as in `choose`; `options`: what the format takes. `out` must not
    exist, or be empty; it appears whole, or not at all. Raises IllFormed for a format, option, unit or number of cases
    that is not there; Unsupported, naming the step, for what the format cannot say.

    >>> import refq, tempfile
    >>> from refq import embedded
    >>> images = embedded.as_input(embedded.calibration()[:4])
    >>> program = refq.quantize(refq.load(embedded.network()), images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pack = refq.record(program, images, f"{folder}/pack", cases=1)
    ...     index = export(pack, "hex", f"{folder}/hex", unit="*.fc1,*.fc1.rescale", word=32)
    >>> index["entries"][0]["word"], index["entries"][0]["first"]
    (32, 'low')
    """
    module = formats.load(to)
    if strange := [key for key in options if key not in formats.options(module)]:
        takes = ", ".join(f"--{key}" for key in formats.options(module)) or "no option"
        raise IllFormed(f"--{strange[0]}: the format {to} takes {takes}; leave it out")
    chosen = choose(pack, unit, cases)
    with appearing(Path(out).absolute()) as folder:
        entries = module.export(chosen, folder, **options)
        hashes = {}
        for entry in entries:
            file = entry["file"]
            hashes[file] = hashes.get(file) or sha256((folder / file).read_bytes()).hexdigest()
            entry["sha256"] = hashes[file]
        index = {"format": 1, "refq": refq_version(), "pack_hash": chosen.pack.hash, "to": to,
                 "options": {**formats.options(module), **options},
                 "unit": [[s.name for s in u.steps] for u in chosen.units] if chosen.units is not None else None,
                 "dialect": chosen.program.dialect, "cases": chosen.cases,
                 "steps": [{"name": s.name, "op": s.op, "row": plain(s.row), "inputs": s.inputs, "outputs": s.outputs}
                           for s in chosen.steps], "entries": entries}
        (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return index
