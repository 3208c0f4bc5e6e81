"""Cases for a test marked `golden`: of vectors that are drawn once and kept in pytest's cache, or of a pack that is there."""
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory

from refq.errors import IllFormed, RefqError
from refq.ints.jit import digest, sources
from refq.vectors.pack import read
from refq.vectors.record import record
from refq.vectors.units import Unit, units


@dataclass(frozen=True, eq=False)
class Case:
    """One case of one unit. `operands`: operand to array, or to an int, exactly as the operation takes it, leading axes
    joined; `expected`: result to array, of the last step; `rows`: of each step, `row` that of the first; `name`."""

    name: str
    rows: tuple
    operands: dict
    expected: dict

    @property
    def row(self):
        return self.rows[0]


def golden(chain=None, dialect="tflite", shape=None, budget=16384, seed=0, pack=None, unit=None):
    """What a mark can say: `chain` ("matmul", "matmul+rescale"), `dialect`, `shape`, `budget` (bytes), `seed`: as for
    `refq vectors`; or `pack`, a folder, and `unit`, patterns of its steps ("*.fc1,*.fc1.rescale"; default: each step)."""
    if (chain is None) == (pack is None):
        raise IllFormed("the mark golden takes an operation, as golden(\"matmul\", dialect=\"tflite\"), or pack=FOLDER")
    if unit is not None and pack is None:
        raise IllFormed("unit: is of a pack; without one the operation is the unit")
    return chain, dialect, shape, budget, seed, pack, unit


def cases(args, options, cache):
    """Every Case of a mark's arguments; `cache`: pytest's, or None. Raises IllFormed for what cannot be meant."""
    try:
        bound = signature(golden).bind(*args, **options)
    except TypeError as e:
        raise IllFormed(f"the mark golden: {e}; it takes {signature(golden)}") from None
    chain, dialect, shape, budget, seed, pack, unit = golden(*bound.args, **bound.kwargs)
    if pack is not None:
        return of_pack(read(pack), [p.strip() for p in unit.split(",")] if unit else None)
    if cache is None:
        with TemporaryDirectory(prefix="refq-golden-") as folder:
            return of_chain(drawn(Path(folder) / "pack", chain, dialect, shape, budget, seed), chain)
    said = Path(dialect).read_bytes() if Path(str(dialect)).is_file() else ""
    key = digest(sources(), chain, str(dialect), said, sorted((shape or {}).items()), budget, seed)
    folder = Path(cache.mkdir("refq")) / key
    if not (folder / "manifest.json").exists():
        try:
            drawn(folder, chain, dialect, shape, budget, seed)
        except RefqError:
            if not (folder / "manifest.json").exists():         # else another worker has written it meanwhile
                raise
    return of_chain(read(folder), chain)


def drawn(folder, chain, dialect, shape, budget, seed):
    """A pack of drawn vectors in `folder`."""
    from refq.vectors.draw import draw
    vectors = draw(chain, dialect, shape=shape, budget=budget, seed=seed)
    count = len(next(iter(vectors.inputs.values())))
    return record(vectors.program, vectors.inputs, folder, cases=count, about=vectors.about)


def of_chain(pack, chain):
    """The cases of a pack of drawn vectors: a unit is a configuration, its steps as many as the chain has links."""
    return of_pack(pack, [f"{step.op}.*" for step in pack.program.steps[:len(chain.split("+"))]])


def of_pack(pack, wanted):
    """The cases of every unit of a pack whose steps match `wanted`; None: every step is a unit."""
    program = pack.program
    chosen = units(program, wanted, "golden") if wanted else [Unit(program, [step]) for step in program.steps]
    golden_codes = [pack.case(i) for i in range(pack.cases)]
    return [case(unit, codes, i) for unit in chosen for i, codes in enumerate(golden_codes)]


def case(unit, codes, number):
    operands, name = {}, unit.name.replace(" ", "")
    for i, step in enumerate(unit.steps):
        for operand, tensor in step.inputs.items():
            if tensor not in unit.made:
                clear = len(unit.taken[operand]) == 1
                key = operand if clear else f"{step.op}.{operand}" if len(unit.taken[f"{step.op}.{operand}"]) == 1 else \
                    f"{i}.{operand}"
                array = unit.operand(key, codes, name)
                operands[key] = array if step.row.takes[operand].names else array[()].item()
    last, expected = unit.steps[-1], {}
    for operand, tensor in last.outputs.items():
        expected[operand] = last.row.gives[operand].view(codes[tensor][None]) if last.row.gives[operand].joins else codes[tensor]
    return Case(f"{name}-{number}", tuple(s.row for s in unit.steps), operands, expected)
