"""Import: files that a device wrote in the shape of an export, as a dump that verify takes.

The index that `refq export` wrote says what each file holds. Results and the network's inputs are taken, constants and
what a unit is given are not; a file that is missing is a tensor that is not shown. An element with x or z digits is kept
as unknown: a dump has a mask `CASE/NAME.unknown` beside it, and verify counts it as wrong, whatever the pack holds.
"""
import json
import zipfile
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.vectors.exchange import formats
from refq.vectors.exchange.exported import INDEX
from refq.vectors.pack import Pack
from refq.vectors.pack import read as read_pack

UNKNOWN = ".unknown"
NEEDED = {"tensor", "case", "is", "role", "width", "shape", "file", "sha256"}


def index_of(path):
    """The index in the file `path`; raises IllFormed or Corrupt."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["format"] > 1:
            raise Unsupported(f"{path}: an index of format {index['format']}; this version of refq reads format 1")
        formats.load(index["to"])
        if faulty := [e for e in index["entries"] if NEEDED - set(e) or Path(e["file"]).is_absolute() or ".." in e["file"]]:
            raise Corrupt(f"{path}: an entry {str(faulty[0])[:80]} is not as refq wrote it")
        return index
    except FileNotFoundError:
        raise IllFormed(f"{path}: no such file; it is written by `refq export` and says what the other files hold") from None
    except (ValueError, KeyError, TypeError, OSError) as e:
        if isinstance(e, RefqError):
            raise
        raise Corrupt(f"{path}: is no index of an export: {e}; export anew") from None


def loaded(path, load):
    """What `load` gives; raises Corrupt where the file at `path` cannot be read."""
    try:
        return load()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
        raise Corrupt(f"{path}: cannot be read: {e}") from None


def results(folder, index_path=None):
    """Of the results (and inputs of the network) that files in `folder` show: (tensor, case, entry, function that gives
    (codes, unknown))."""
    folder = Path(folder)
    path = Path(index_path) if index_path else folder / INDEX
    index = index_of(path / INDEX if path.is_dir() else path)
    module = formats.load(index["to"])
    if not hasattr(module, "read"):
        raise Unsupported(f"{folder}: what {index['to']} writes judges by itself and is not read back; export hex or npy")
    for entry in index["entries"]:
        shown = entry["is"] == "result" or entry["role"] == "input"
        if shown and (file := folder / entry.get("device", entry["file"])).is_file():
            yield entry["tensor"], entry["case"], entry, partial(module.read, file, entry)


def sources(folder):
    """An export's folder as the sources of a dump (refq/vectors/dump.py): (key, where it lies, function that loads)."""
    found = []
    for name, case, entry, load in results(folder):
        key, read = f"{case:04d}/{name}", once(load)
        found.append((key, entry["file"], lambda read=read: read()[0]))
        found.append((key + UNKNOWN, entry["file"], lambda read=read: read()[1]))
    return found


def once(load):
    kept = []

    def read():
        if not kept:
            kept.append(load())
        return kept[0]

    return read


def import_(folder, pack, out=None, index=None):
    """The dump in `folder` as arrays, `CASE/NAME` to codes, and what was found, as plain values; written to the .npz
    `out` where one is named.

    `folder`: files as `refq export` wrote them, the results replaced by the device's; `index`: the index of the export,
    where it does not lie in the folder. Raises IllFormed where the index is of another pack, or nothing is shown;
    Corrupt for a file that cannot be read.
    """
    pack = pack if isinstance(pack, Pack) else read_pack(pack)
    folder = Path(folder)
    if not folder.is_dir():
        raise IllFormed(f"{folder}: no such folder; give the one that `refq export` wrote, with the device's files in it")
    path = Path(index) if index else folder / INDEX
    if index_of(path / INDEX if path.is_dir() else path)["pack_hash"] != pack.hash:
        raise IllFormed(f"{folder}: {INDEX} is of another pack than {pack.folder}; name the pack that was exported")
    if out and Path(out).suffix != ".npz":
        raise IllFormed(f"{out}: a dump is written as .npz")
    arrays, unknown, same, files, computed = {}, 0, set(), set(), set()
    for name, case, entry, load in results(folder, index):
        codes, lost = load()
        arrays[f"{case:04d}/{name}"] = codes
        if lost is not None:
            arrays[f"{case:04d}/{name}{UNKNOWN}"] = lost
            unknown += int(np.count_nonzero(lost))
        files.add(entry.get("device", entry["file"]))
        computed.update([name] if entry["is"] == "result" else [])
        if "device" not in entry and sha256((folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]:
            same.add(entry["file"])
    if not computed:
        raise IllFormed(f"{folder}: has none of the results that {INDEX} lists; the device's files keep the export's names")
    if out:
        written(Path(out), arrays)
    return arrays, {"folder": str(folder), "out": str(out) if out else None, "files": len(files), "as_exported": len(same),
                    "tensors": len({key.split("/", 1)[1] for key in arrays if not key.endswith(UNKNOWN)}),
                    "unknown": unknown}


def written(out, arrays):
    """The .npz whole, or not at all."""
    part = out.with_name(f".{out.name}.part.npz")
    try:
        np.savez(part, **arrays)
        part.replace(out)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise RefqError(f"{out}: cannot be written: {e.strerror}") from None
