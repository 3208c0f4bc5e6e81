"""Checksums: what a device without files says about a tensor: two numbers for all of it, and two for each tile.

    words      the codes in row-major order, each as the unsigned number of its container (8, 16 or 32 bits, two's
               complement); a code of a 64-bit container is two words of 32 bits, the low one first
    sum        sum over i of u[i]              mod 2**64
    weighted   sum over i of (i + 1) * u[i]    mod 2**64, i from 0 in the tensor or in the tile

One wrong word changes the sum; two different words that change places change the weighted sum, since
(j - i) * (u[i] - u[j]) is not 0 and below 2**64 for fewer than 2**31 words. `C` is the same as a C99 function.

A line of checksums.txt is: tensor, case, tile (`all`, or its number from 0), sum, weighted; both in hex; `#` begins a
comment. A tensor's name is as in the pack, with %20 for a space.
"""
from dataclasses import dataclass
from urllib.parse import quote, unquote

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.vectors.manifest import shortened
from refq.vectors.pack import Pack, read

C = """\
/* words: the codes in row-major order as unsigned numbers of their container; a 64-bit code is two words, low one first
   sum      = sum over i of u[i]            mod 2^64
   weighted = sum over i of (i + 1) * u[i]  mod 2^64 */
static void refq_checksum(const void *codes, size_t size, size_t bytes, uint64_t *sum, uint64_t *weighted)
{
    const unsigned char *at = (const unsigned char *)codes;
    size_t i;
    *sum = 0;
    *weighted = 0;
    for (i = 0; i < size; i++, at += bytes) {
        uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64;
        uint64_t word = 0;
        switch (bytes) {
        case 1: memcpy(&u8, at, 1); word = u8; break;
        case 2: memcpy(&u16, at, 2); word = u16; break;
        case 4: memcpy(&u32, at, 4); word = u32; break;
        default:
            memcpy(&u64, at, 8);
            *sum += (u64 & 0xffffffffu) + (u64 >> 32);
            *weighted += (2 * (uint64_t)i + 1) * (u64 & 0xffffffffu) + (2 * (uint64_t)i + 2) * (u64 >> 32);
            continue;
        }
        *sum += word;
        *weighted += ((uint64_t)i + 1) * word;
    }
}
"""


def checksum(codes):
    """(sum, weighted) of an array of codes in their container's dtype."""
    flat = np.ascontiguousarray(codes).reshape(-1)
    wide = flat.dtype.itemsize == 8
    words = (flat.astype("<i8").view("<u4") if wide else flat.view(f"u{flat.dtype.itemsize}")).astype(np.uint64)
    places = np.arange(1, len(words) + 1, dtype=np.uint64)
    return int(words.sum(dtype=np.uint64)), int((words * places).sum(dtype=np.uint64))


def tiles(codes, tile):
    """Of a tensor: ("all", sum, weighted), then (number, sum, weighted) for each `tile` codes, row-major."""
    flat = np.ascontiguousarray(codes).reshape(-1)
    yield "all", *checksum(flat)
    for number, start in enumerate(range(0, len(flat), tile)):
        yield str(number), *checksum(flat[start:start + tile])


def line(tensor, case, tile, sum_, weighted):
    return f"{quote(tensor, safe='/.:_-')} {case:04d} {tile} {sum_:016x} {weighted:016x}\n"


@dataclass(frozen=True)
class Compared:
    """`against`: the file; `compared`: lines; `wrong`: (tensor, case, tile, got, expected) in program order."""

    against: str
    compared: int
    wrong: list

    @property
    def passed(self):
        return not self.wrong

    def json(self):
        rows = [dict(zip(("tensor", "case", "tile", "got", "expected"), w)) for w in self.wrong]
        return {"against": self.against, "passed": self.passed, "compared": self.compared, "wrong": rows}

    def __str__(self):
        if self.passed:
            return f"pass: {self.compared} checksums of {self.against} are the pack's"
        tensor, case, tile, *_ = self.first
        of = "" if tile == "all" else f", tile {tile}"
        some = [f"  {t}  case {c:04d}  tile {n}: {got} instead of {true}" for t, c, n, got, true in self.wrong[:12]]
        more = [f"  ... and {len(self.wrong) - 12} more"] if len(self.wrong) > 12 else []
        return "\n".join([f"fail: first wrong is {tensor}, case {case:04d}{of}; {len(self.wrong)} of {self.compared} "
                          f"checksums of {self.against} differ", *some, *more])

    @property
    def first(self):
        """The first wrong tile; the whole tensor where no tile of it is there."""
        head = self.wrong[0]
        return next((w for w in self.wrong if w[:2] == head[:2] and w[2] != "all"), head)


def compare(pack, file, tile=1024):
    """Compared: the checksums of a text file against a pack's tensors, results of steps and inputs alike.

    `tile`: codes in a tile, unless the file says `# tile N`. Raises IllFormed for a tensor, case or tile that the pack
    does not have, and for a file without a line; Corrupt for a line that is none.
    """
    pack = pack if isinstance(pack, Pack) else read(pack)
    said, tile = parsed(file, tile)
    known, wrong = {name: i for i, name in enumerate(pack.recorded)}, []
    for case in sorted({case for _, case in said}):
        if case >= pack.cases:
            raise IllFormed(f"{file}: case {case}; the pack has {pack.cases}")
        codes = pack.case(case)
        for name in [name for name, of in said if of == case]:
            if name not in known:
                raise IllFormed(f"{file}: {name!r} is no tensor of a case of the pack")
            true = {number: f"{a:016x} {b:016x}" for number, a, b in tiles(codes[name], tile)}
            for number, got in said[name, case].items():
                if number not in true:
                    raise IllFormed(f"{file}: {name} has no tile {number}; of {tile} codes a tile it has {len(true) - 1}")
                if got != true[number]:
                    wrong.append((name, case, number, got, true[number]))
    wrong.sort(key=lambda w: (known[w[0]], w[1], -1 if w[2] == "all" else int(w[2])))
    return Compared(str(file), sum(map(len, said.values())), wrong)


def parsed(file, tile):
    """((tensor, case) to tile to its two numbers as text), and the codes in a tile."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            lines = opened.read().splitlines()
    except OSError as e:
        raise IllFormed(f"{file}: cannot be read: {e.strerror}") from None
    said = {}
    for number, text in enumerate(lines, 1):
        words = text.split()
        if words[:2] == ["#", "tile"] and words[2:] and words[2].isdigit() and int(words[2]):
            tile = int(words[2])
        if not words or words[0].startswith("#"):
            continue
        try:
            name, case, of, *pair = words
            sums = " ".join(f"{int(w, 16):016x}" for w in pair)
            if len(pair) != 2 or not (of == "all" or of.isdigit()):
                raise ValueError
            group = said.setdefault((unquote(name), int(case)), {})
            of = of if of == "all" else str(int(of))
        except ValueError:
            raise Corrupt(f"{file}: line {number}: {shortened(text, 60)!r}; a line is: tensor case tile sum weighted") from None
        if of in group:
            raise IllFormed(f"{file}: line {number}: {unquote(name)}, case {case}, tile {of} was there before")
        group[of] = sums
    if not said:
        raise IllFormed(f"{file}: holds no checksum; a line is: tensor case tile sum weighted")
    return said, tile
