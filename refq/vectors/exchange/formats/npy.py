"""npy: one .npy for each tensor of each case, C order, little-endian, in the container of its width (i4 as int8)."""
import io

import numpy as np

from refq.vectors.exchange.exported import one_file_each
from refq.vectors.exchange.imported import loaded


def export(chosen, folder):
    return one_file_each(chosen, folder, ".npy", encoded, lambda codes, width: stated(width))


def stated(width):
    return {"container": width.dtype.name, "bytes": "little-endian"}


def encoded(codes, width):
    out = io.BytesIO()
    np.save(out, np.asarray(codes, width.dtype.newbyteorder("<"), order="C"), allow_pickle=False)
    return out.getvalue()


def read(path, entry):
    return loaded(path, lambda: np.load(path, allow_pickle=False)), None
