"""watch: partial sums after each tile of K, as a device that shows its accumulator between tiles would dump them.

`STEP:acc@k=32` watches the register `acc` of a matmul, batch_matmul or conv2d each 32 products (of a conv2d in the order i, j,
d); the last tile may be short. The sum behind tile t is what the step would give if the products ended there: with the bias,
after overflow and spills as the row's Accumulate says. Pairs and tiles of a row join whole, so k is a multiple of theirs.

    FOLDER/0000.safetensors ...     of each case `STEP.acc@k=32`, (tiles *shape), in the container of acc
    FOLDER/partials.json            the pack's hash; of each name its step, tile, products, order, width, shape and sha256

A dump may hold arrays of these names, as tensors of a case; verify computes what they should be anew.
"""
import json
import re
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from safetensors.numpy import save as serialized

from refq.errors import IllFormed, nearest
from refq.graph import store
from refq.graph.describe import codes_hash
from refq.graph.program import Step
from refq.machine.linear import rule_of
from refq.vectors.diagnosis.place import Place, by_kernel
from refq.vectors.pack import Pack, read
from refq.vectors.report import Tally, Verdict

SUMMED = ("matmul", "batch_matmul", "conv2d")
MARK, FORM, CASE = "@k=", re.compile(r"(.+)[:.](\w+)@k=([1-9][0-9]{0,8})"), re.compile("([0-9]{1,9})/(.+)", re.DOTALL)
NAMED = 6


@dataclass(frozen=True)
class Watch:
    """`result` of `step`, after every `tile` of its `products`."""

    step: Step
    result: str
    tile: int
    products: int

    @property
    def name(self):
        return f"{self.step.name}.{self.result}{MARK}{self.tile}"

    @property
    def tensor(self):
        return self.step.outputs[self.result]

    @property
    def ends(self):
        """How many products each sum is made of."""
        return [min(end, self.products) for end in range(self.tile, self.products + self.tile, self.tile)]

    def shape(self, program):
        return (len(self.ends), *program.tensors[self.tensor].shape)

    def words(self, program):
        return {"name": self.name, "step": self.step.name, "tile": self.tile, "products": self.products,
                "order": rule_of(self.step.row).order, "width": str(program.tensors[self.tensor].width),
                "shape": list(self.shape(program))}

    def span(self, t):
        """The products of tile t in words."""
        return f"k {t * self.tile}..{self.ends[t] - 1}"


def watch(text, program):
    """The Watch that a text means; raises IllFormed for a step, register or tile that there is not."""
    met = FORM.fullmatch(text)
    if not met:
        raise IllFormed(f"watch {text!r}: write STEP:acc@k=32, a step, its register, and the products of a tile")
    name, result, tile = met[1], met[2], int(met[3])
    steps = {s.name.replace("/", "."): s for s in program.steps if s.op in SUMMED}
    step = steps.get(name.replace("/", "."))
    if step is None:
        raise IllFormed(f"watch {text!r}: {name!r} is no step that sums products ({', '.join(SUMMED)}): "
                        f"{nearest(name, tuple(s.name for s in steps.values()))}")
    if result not in step.outputs:
        raise IllFormed(f"watch {text!r}: {result!r} is no register of step {step.name}; it has {', '.join(step.outputs)}")
    declared, shape = step.row.takes["w"], program.tensors[step.inputs["w"]].shape
    products = prod(shape[-sum(axis in declared.whole for axis in declared.names):])
    block = rule_of(step.row).blocks[0]
    if tile % block and tile < products:
        raise IllFormed(f"watch {text!r}: products of step {step.name} join {block} at a time; take a multiple of {block}")
    return Watch(step, result, tile, products)


def sums(w, program, codes):
    """The sums behind each tile: (cases tiles *shape), from `codes`, tensor to (cases *shape), of what the step takes."""
    place = Place(program, [w.step], codes)
    operands = place.operands(0, codes)
    run, weights = by_kernel(w.step.op, w.step.row), operands["w"]
    zero = np.reshape(operands["zw"], (-1,) + (1,) * (weights.ndim - 1)).astype(weights.dtype)
    flat, found = weights.reshape(-1, w.products), []
    still = np.ascontiguousarray(np.broadcast_to(zero, weights.shape)).reshape(flat.shape)
    for end in w.ends:
        # a weight at its zero point adds 0, and to add 0 changes no register
        cut = np.concatenate([flat[:, :end], still[:, end:]], 1).reshape(weights.shape)
        result = run({**operands, "w": cut})[w.result]
        found.append(result.reshape(place.cases, *program.tensors[w.tensor].shape))
    return np.stack(found, 1)


def record_partials(pack, texts, out=None, progress=None):
    """Write the partial sums of every case of a pack into the folder `out` (default: `partials` in the pack, whose hash stays
    as it is), whole or not at all; gives what partials.json holds. `texts`: what to watch.

    Raises IllFormed for what cannot be watched, and for an `out` that is not empty; Corrupt for a damaged pack.
    """
    from refq.vectors.record import appearing  # here: dumps are read without it
    pack = pack if isinstance(pack, Pack) else read(pack)
    program, out = pack.program, pack.folder / "partials" if out is None else out
    watches = list(dict.fromkeys(watch(text, program) for text in texts))
    if not watches:
        raise IllFormed("nothing to watch: say what, as STEP:acc@k=32")
    hashes = {w: [] for w in watches}
    with appearing(out.absolute()) as folder:
        for i in range(pack.cases):
            codes = {name: array[None] for name, array in pack.case(i).items()}
            made = {w: np.ascontiguousarray(sums(w, program, codes)[0]) for w in watches}
            for w, array in made.items():
                hashes[w].append(codes_hash(array, replace(program.tensors[w.tensor], name=w.name, shape=array.shape)))
            store.write(folder / f"{i:04d}.safetensors", serialized({w.name: array for w, array in made.items()}))
            if progress:
                progress(i + 1)
        words = {"pack": pack.hash, "watched": [w.words(program) | {"sha256": hashes[w]} for w in watches]}
        store.write(folder / "partials.json", json.dumps(words, indent=1).encode())
    return words | {"folder": str(out)}


def shown(key, pack):
    """(Watch, case or None) that the key of an array in a dump means; raises IllFormed where it means nothing."""
    met = CASE.fullmatch(key)
    if met and int(met[1]) >= pack.cases:
        raise IllFormed(f"{key}: the pack has cases 0000 to {pack.cases - 1:04d}")
    return watch(met[2] if met else key, pack.program), int(met[1]) if met else None


def judged(pack, dump, tolerance):
    """(Verdicts, sentences) of the partial sums that a dump shows: against the pack, and against what follows from the device's
    own inputs; a sentence says which tile is the first that is wrong."""
    verdicts, notes = [], []
    for w in dict.fromkeys(w for w, _ in dump.partials):
        against, own, apart = Tally(tolerance), Tally(tolerance), []
        for i in range(pack.cases):
            if (w, i) not in dump.partials and (w, None) not in dump.partials:
                continue
            got, golden = held(w, i, pack, dump), pack.case(i)
            expected = sums(w, pack.program, {name: array[None] for name, array in golden.items()})[0]
            against.add(i, got, expected)
            theirs = {name: codes for name, codes in dump.case(i).items() if name in w.step.inputs.values()
                      and fits(codes, pack.program.tensors[name].width)}
            if any(not np.array_equal(codes, golden[name]) for name, codes in theirs.items()):
                expected = sums(w, pack.program, {name: array[None] for name, array in (golden | theirs).items()})[0]
            own.add(i, got, expected)
            apart.append(got.astype(np.int64) - expected)
        verdicts.append(Verdict(w.step.name, w.step.op, w.name, against, own))
        notes += sentences(w, np.stack(apart), tolerance)
    return verdicts, notes


def held(w, i, pack, dump):
    """The sums that a dump shows of one case; raises IllFormed for a wrong dtype or shape."""
    whole = (w, i) not in dump.partials
    array, width = dump.partials[w, None if whole else i](), pack.program.tensors[w.tensor].width
    shape = w.shape(pack.program)
    if array.dtype.newbyteorder("=") != width.dtype:
        raise IllFormed(f"{dump.where}: {w.name} is {array.dtype}; its {width} sums are dumped as {width.dtype}")
    if whole and array.shape == (pack.cases, *shape):
        array = array[i]
    if array.shape != shape:
        raise IllFormed(f"{dump.where}: {w.name} has shape {array.shape}; {len(w.ends)} tiles of {w.tile} products make "
                        f"{shape}{f', cases in front ({pack.cases})' if whole else ''}")
    return np.asarray(array, width.dtype)


def fits(codes, width):
    return not codes.size or width.lo <= codes.min() and codes.max() <= width.hi


def sentences(w, apart, tolerance):
    """Which tile is the first that is wrong, and which ones after it add something wrong; `apart`: (cases tiles *shape)."""
    wrong = (np.abs(apart) > tolerance).reshape(len(apart), len(w.ends), -1)
    tiles = np.flatnonzero(wrong.any(axis=(0, 2)))
    if not len(tiles):
        return
    first = int(tiles[0])
    added = np.diff(apart.reshape(wrong.shape), axis=1) != 0
    more = [t for t in range(first + 1, len(w.ends)) if added[:, t - 1].any()]
    before = "" if first == 0 else "; the tiles before are right" if first > 1 else "; tile 0 is right"
    after = ""
    if more:
        after = f"; tiles that add something wrong after it: {', '.join(map(str, more[:NAMED]))}{' ...' if more[NAMED:] else ''}"
    elif first + 1 < len(w.ends):
        after = "; the tiles after it add what they should"
    yield (f"{w.name}: tile {first}, {w.span(first)}, is the first whose sum is wrong{before}; "
           f"{(count := int(wrong[:, first].sum()))} element{'s' * (count != 1)}{after}")


def inserted(verdicts, partial, program):
    """Verdicts in program order: partial sums before what their step gives."""
    order = {step.name: i for i, step in enumerate(program.steps)}
    found = list(verdicts)
    for verdict in partial:
        place = next((i for i, v in enumerate(found) if order.get(v.step, -1) >= order[verdict.step]), len(found))
        found.insert(place, verdict)
    return found


def cases(dump):
    """In how many cases a dump shows partial sums."""
    shown = {case for _, case in dump.partials}
    return dump.pack.cases if None in shown else len(shown)
