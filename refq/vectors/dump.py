"""Dumps: the tensors that a device showed, as files.

A dump is a folder, a .npz, a .safetensors, another pack, or in Python a dict. Its arrays carry the names of the pack's
tensors, and hold codes in the container of the tensor's width (i4 codes as int8):

    NAME.npy                  in the folder: all cases along a leading axis (cases *shape)
    0000/NAME.npy             in the folder: one case (*shape); cases may be missing
    0000.npz 0000.safetensors in the folder: the tensors of one case, by NAME
    NAME or 0000/NAME         as keys of one .npz or .safetensors, likewise

Where a tensor's name holds a slash, a folder or a dot may stand for it. With a pack of one case the leading axis may be
left out. A tensor of a case is shown once, and at least one that is not an input of the network. An array that is no
tensor of a case is refused, since it would not be judged.

A folder with the index.json of `refq export` is read as that says. NAME.unknown beside 0000/NAME is a mask: where it is
not 0 a simulator showed x or z. Such a code is wrong, whatever the pack holds; it is given as the pack's with the top
bit turned.

STEP.acc@k=32 holds the partial sums of a step after every 32 products (watch.py); `partials` has a loader of each, by Watch
and case (None: all cases).
"""
import os
import re
import zipfile
from functools import cache, partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from refq.errors import Corrupt, IllFormed, nearest
from refq.vectors import watch
from refq.vectors.exchange import imported
from refq.vectors.manifest import shortened

ENDINGS = (".npy", ".npz", ".safetensors")
CASE = re.compile("[0-9]{1,9}")
BEFORE = {".acc": "accumulator", ".raw": "result before it"}      # what a tensor of that name and ending is to NAME


class Dump:
    """What a device showed: `where` it is, and for each tensor a loader per case."""

    def __init__(self, against, pack):
        if not isinstance(against, (dict, str, os.PathLike)):
            raise IllFormed(f"a dump is {shortened(repr(against))}; it is a folder, a file, or a dict of arrays")
        self.pack, self.where = pack, "the arrays given" if isinstance(against, dict) else str(against)
        self.whole, self.single, self.unknown, self.places, self.masks = {}, {}, [], {}, {}
        self.partials = {}
        dotted = {}
        for name in pack.recorded:
            dotted.setdefault(name.replace("/", "."), []).append(name)
        self.known = {key: names[0] for key, names in dotted.items() if len(names) == 1} | {n: n for n in pack.recorded}
        for key, place, load in sources(against):
            self.place(key, place, load)
        if self.unknown:
            self.refuse_unknown()
        if not (self.names or self.partials):
            raise self.shows_none()
        if not self.partials and not any(name in pack.steps for name in self.names):
            raise IllFormed(f"{self.where}: shows only what the network is given ({', '.join(sorted(self.names))}), and "
                            "no result of any step; dump what the device computes")

    def place(self, key, place, load):
        """Sort in one array: its key says the tensor, and perhaps the case."""
        if watch.MARK in key:
            meant, case = watch.shown(key, self.pack)
            self.once(meant.name, case, place)
            self.partials[meant, case] = load
            return
        name = self.name(key)
        if name:
            self.once(name, None, place)
            self.whole[name] = load
            return
        case, _, rest = key.partition("/")
        name = self.name(rest)
        masked = not name and rest.endswith(imported.UNKNOWN) and self.name(rest.removesuffix(imported.UNKNOWN))
        if masked and CASE.fullmatch(case) and int(case) < self.pack.cases:
            self.masks[masked, int(case)] = load
            return
        if not CASE.fullmatch(case) or not name:
            self.unknown.append(key)
        elif int(case) >= self.pack.cases:
            raise IllFormed(f"{self.where}: shows case {case}; the pack has cases 0000 to {self.pack.cases - 1:04d}")
        else:
            self.once(name, int(case), place)
            self.single[name, int(case)] = load

    def refuse_unknown(self):
        """IllFormed for arrays that nothing would judge; the first is named, and what it may have been meant to be."""
        key, program = self.unknown[0], self.pack.program
        case, _, rest = key.partition("/")
        tried = [k.replace("/", ".") for k in ((key, rest) if CASE.fullmatch(case) else (key,))]
        step = next((s for s in program.steps if s.name.replace("/", ".") in tried), None)
        if step:
            results = tuple(step.outputs.values())
            said = (f"is a step of the pack; its result is the tensor {results[0]}: rename it" if len(results) == 1 else
                    f"is a step of the pack; its results are the tensors {', '.join(results)}: name it after one")
        elif any(name.replace("/", ".") in tried for name in program.constants):
            said = "is a constant of the program, not computed: leave it out"
        elif not self.names:
            raise self.shows_none()
        else:
            meant = nearest(tried[-1][:200], self.pack.recorded)
            meant = f"{meant} " if meant.startswith("did you mean") else ""
            said = f"is no tensor of the pack: {meant}rename it or leave it out"
        more = f" ({len(self.unknown)} arrays are no tensor of a case)" if len(self.unknown) > 1 else ""
        raise IllFormed(f"{self.where}: holds {shortened(repr(key))}, which {said}{more}")

    def shows_none(self):
        have = shortened(", ".join(self.unknown[:5])) or "no array at all"
        return IllFormed(f"{self.where}: shows none of the pack's tensors: it has {have}; the pack has "
                         f"{', '.join(self.pack.recorded[:5])} ...; name arrays after the pack's tensors")

    def once(self, name, case, place):
        """IllFormed where the tensor was met before, in this case or in all."""
        for other, there in self.places.setdefault(name, []):
            if other is None or case is None or other == case:
                raise IllFormed(f"{self.where}: shows tensor {name!r} twice, as {there} and as {place}; keep one")
        self.places[name].append((case, place))

    def name(self, key):
        return self.known.get(key) or self.known.get(key.replace("/", "."))

    @property
    def names(self):
        """The pack's tensors that the dump shows in at least one case."""
        return {*self.whole, *(name for name, _ in self.single)}

    def shows(self, name, case):
        return name in self.whole or (name, case) in self.single

    def case(self, i):
        """The tensors shown of case i: name to codes (*shape). Raises IllFormed for a wrong dtype or shape."""
        return {name: self.codes(name, i) for name in self.pack.recorded if self.shows(name, i)}

    def codes(self, name, i):
        tensor, cases = self.pack.program.tensors[name], self.pack.cases
        array = self.single[name, i]() if (name, i) in self.single else self.whole[name]()
        if array.dtype.newbyteorder("=") != tensor.width.dtype:
            raise IllFormed(f"{self.where}: tensor {name!r} is {array.dtype}; its {tensor.width} codes are dumped "
                            f"as {tensor.width.dtype}{self.before(name, array.dtype.newbyteorder('='))}")
        allowed = {(cases, *tensor.shape): i} if (name, i) not in self.single else {}
        if (name, i) in self.single or cases == 1:
            allowed.setdefault(tensor.shape, ...)
        if array.shape not in allowed:
            axis = "" if (name, i) in self.single else f": the first axis is the case ({cases} case{'s' * (cases > 1)})"
            raise IllFormed(f"{self.where}: tensor {name!r} has shape {array.shape}; the pack has "
                            f"{' or '.join(str(s) for s in allowed)}{axis}")
        codes = np.asarray(array[allowed[array.shape]], tensor.width.dtype, order="C")
        if (lost := self.lost(name, i)) is None:
            return codes
        golden = self.pack.case(i)[name]
        turned = tensor.width.wrap(golden.astype(np.int64) ^ np.int64(1) << np.int64(tensor.width.bits - 1))
        return np.where(lost, turned.astype(codes.dtype), codes)

    def lost(self, name, i):
        """Which codes of a tensor are unknown, or None; raises IllFormed for a mask of another shape."""
        mask = self.masks[name, i]() if (name, i) in self.masks else None
        if mask is not None and mask.shape != self.pack.program.tensors[name].shape:
            raise IllFormed(f"{self.where}: {name}{imported.UNKNOWN} has shape {mask.shape}; it is a mask of the tensor's shape")
        return mask

    def notes(self):
        """A sentence for each tensor that has unknown codes."""
        counts = {}
        for name, i in self.masks:
            lost = self.lost(name, i)
            counts[name] = counts.get(name, 0) + (0 if lost is None else int(np.count_nonzero(lost)))
        return [f"{count} codes of {name} are unknown (x or z): they count as wrong" for name, count in counts.items() if count]

    def before(self, name, dtype):
        """The end of a sentence: the tensor that `name`, being of that dtype, may have been meant to be."""
        tensors = self.pack.program.tensors
        for ending, what in BEFORE.items():
            other = tensors.get(name + ending)
            if other and name + ending in self.pack.recorded and other.width.dtype == dtype:
                return f"; the {other.width} {what} is {name + ending!r}"
        return ""


def sources(against):
    """Of a dict, a file, or all files below a folder, each array: (key, where it lies, function that loads it)."""
    if isinstance(against, dict):
        if strange := [key for key in against if not isinstance(key, str)]:
            raise IllFormed(f"the arrays given: the name {shortened(repr(strange[0]))} is no text; name arrays after the "
                            "pack's tensors")
        return [(name, repr(name), partial(np.asarray, array)) for name, array in against.items()]
    path = Path(against)
    if (path / imported.INDEX).is_file():
        return imported.sources(path)
    if (path / "manifest.json").is_file() and (path / "cases").is_dir():
        path = path / "cases"
    if path.is_dir():
        found = []
        for file in sorted(p for p in path.rglob("*") if p.suffix in ENDINGS and p.is_file()):
            inside = file.relative_to(path)
            stem = inside.with_suffix("").as_posix()
            for key, load in arrays_in(file):
                found.append((f"{stem}/{key}" if key else stem, f"{inside}: {key}" if key else str(inside), load))
        return found
    if not path.is_file():
        raise IllFormed(f"{path}: no such file or folder; a dump is a folder of .npy, a .npz or a .safetensors")
    if path.suffix not in (".npz", ".safetensors"):
        raise IllFormed(f"{path}: a dump is a folder of .npy, a .npz or a .safetensors")
    return [(key, repr(key), load) for key, load in arrays_in(path)]


def arrays_in(file):
    """The arrays of one file: (key, function that loads it); a .npy has the one key ""."""
    try:
        if file.suffix == ".npy":
            return [("", lambda: opened(file, np.load, mmap_mode="r", allow_pickle=False))]
        if file.suffix == ".npz":
            archive = np.load(file, allow_pickle=False)
            return [(key, cache(lambda key=key: opened(file, archive.__getitem__, key))) for key in archive.files]
        with safe_open(file, "numpy") as archive:
            return [(key, partial(from_safetensors, file, key)) for key in archive.keys()]
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile, SafetensorError) as e:
        raise Corrupt(f"{file}: cannot be read as {file.suffix[1:]}: {e}") from None


def opened(file, load, *args, **options):
    try:
        return load(args[0] if args else file, **options)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise Corrupt(f"{file}: cannot be read: {e}") from None


def from_safetensors(file, key):
    with safe_open(file, "numpy") as archive:
        return archive.get_tensor(key)
