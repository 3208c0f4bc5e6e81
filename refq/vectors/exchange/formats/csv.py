"""csv: one number a line, below a line with the width; one file for each tensor of each case, last axis fastest.

A float32 (a scale of a row that computes in it) is written as an exact hex-float. On the way back an x, a z or an empty
line is an unknown code.
"""
import numpy as np

from refq.errors import Corrupt
from refq.ints.width import width as width_of
from refq.vectors.exchange.exported import one_file_each


def export(chosen, folder):
    return one_file_each(chosen, folder, ".csv", encoded, lambda codes, width: {"text": "one number a line below a header"})


def encoded(codes, width):
    flat = np.asarray(codes).reshape(-1).tolist()
    return "".join(f"{v.hex() if isinstance(v, float) else v}\n" for v in (str(width), *flat)).encode()


def read(path, entry):
    width, shape = width_of(entry["width"]), tuple(entry["shape"])
    lines = path.read_text(errors="replace").splitlines()
    if lines and not number(lines[0].strip()):
        lines = lines[1:]
    if len(lines) != int(np.prod(shape)):
        raise Corrupt(f"{path}: {len(lines)} numbers; {entry['tensor']} takes {int(np.prod(shape))}")
    texts = [line.strip().rstrip(",") for line in lines]
    unknown = np.array([text.lower() in ("x", "z", "") for text in texts], bool).reshape(shape)
    if bad := next((t for t in texts if not number(t) and t.lower() not in ("x", "z", "")), None):
        raise Corrupt(f"{path}: {bad[:40]!r} is no number")
    values = [int(t) if number(t) else 0 for t in texts]
    if beyond := next((v for v in values if v not in width), None):
        raise Corrupt(f"{path}: {beyond}, which {width} does not hold")
    return np.array(values, width.dtype).reshape(shape), unknown if unknown.any() else None


def number(text):
    return text.lstrip("+-").isdigit() and text.isascii()
