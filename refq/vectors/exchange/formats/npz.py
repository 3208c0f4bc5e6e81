"""npz: one .npz for each case, and one for the constants; keys are the tensors' names, containers those of their widths."""
from functools import lru_cache
from pathlib import Path

import numpy as np

from refq.vectors.exchange.formats.npy import stated
from refq.vectors.exchange.imported import loaded


def export(chosen, folder):
    together, entries = {}, []
    for name, case, codes in chosen.arrays():
        file = "constants.npz" if case is None else f"{case:04d}.npz"
        if together and file not in together:
            written(folder, together)
        width = chosen.program.tensors[name].width
        together.setdefault(file, {})[name] = np.asarray(codes, width.dtype)
        entries.append(chosen.entry(name, case, file=file, key=name, **stated(width)))
    written(folder, together)
    return entries


def written(folder, together):
    """Write what is gathered of a file, and let go of it."""
    for file, arrays in together.items():
        np.savez(Path(folder) / file, **arrays)
    together.clear()


def read(path, entry):
    return loaded(path, lambda: arrays(path, path.stat().st_mtime_ns)[entry["key"]]), None


@lru_cache(maxsize=1)
def arrays(path, changed):
    """All arrays of one file; the last one asked for is kept, since a dump is read case by case."""
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}
