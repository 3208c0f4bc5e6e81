"""The fused int8 layer of matmul_int8.c as a program of files, for the tests of that transport: python matmul_files.py FOLDER.

Wrong where the environment's WRONG says so. Results begin as what their files hold.
"""
import os
import sys
from pathlib import Path

import numpy as np

WRONG = os.environ.get("WRONG", "")


def half_away(x, shift):
    return np.sign(x) * ((np.abs(x) + ((1 << shift) >> 1)) >> shift)


def words(path, bits):
    """Codes of `bits` bits out of lines of hex words, the first in the low bits."""
    text = [line for line in path.read_text().splitlines() if line and not line.startswith("//")]
    digits = bits // 4
    codes = [int(line[i - digits:i], 16) for line in text for i in range(len(line), 0, -digits)]
    return np.array([c - (c >> bits - 1 << bits) for c in codes])


def layer(folder):
    sizes = {name: int(value) for name, value in (line.split() for line in (folder / "sizes.txt").read_text().splitlines())}
    x = np.fromfile(folder / "x.bin", "<i1").astype(np.int64).reshape(-1, sizes["k"])
    w = words(folder / "w.hex", 8)[:sizes["m"] * sizes["k"]].reshape(-1, sizes["k"])
    acc = x @ w.T + np.fromfile(folder / "bias.bin", "<i4")
    left = np.fromfile(folder / "left.bin", "<i4")
    mult = np.fromfile(folder / "mult.bin", "<i4").astype(np.int64)
    high = (acc * mult + (1 << 30)) >> 31                           # ties of this rounding go up
    y = np.clip(half_away(high, -left) + sizes["zp"], -128, 127)
    lines = [line for line in (folder / "y.hex").read_text().split()]
    codes = [f"{c & 255:02x}" for c in y.reshape(-1).tolist()]
    for i, code in enumerate(codes):
        if WRONG == "unwritten" and i % 7 == 0:
            continue
        if WRONG == "unknown" and i % 5 == 0:
            code = "xx" if i % 2 else "zZ"[0] + "0"
        word, lane = divmod(i, 4)
        at = len(lines[word]) - 2 * lane
        lines[word] = lines[word][:at - 2] + code + lines[word][at:]
    if WRONG == "short":
        lines = lines[:-1]
    if WRONG == "absent":
        (folder / "y.hex").unlink()
        return
    (folder / "y.hex").write_text("garbage !" if WRONG == "garbage" else "\n".join(lines))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if WRONG == "crash" and sys.argv[2] == "5":
        os.abort()
    for each in sorted(p for p in place.iterdir() if p.is_dir()) or [place]:
        layer(each)
