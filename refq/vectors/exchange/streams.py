"""Streams: a unit as a module with ready/valid streams: one for each operand that is not constant, one for each result.

    NAME_valid, NAME_ready, NAME_data      a word moves at a rising edge of clk where valid and ready are both 1
    NAME.hex                               its words, case after case; each case begins a new word

Names are the operands' (x, acc, y), or of the whole program the tensors'. Constants are files that the module reads
itself: constants/NAME.hex, a line a word of one code. rst is active high and synchronous. Without `word` each
word is one code.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.vectors.exchange import cnames
from refq.vectors.exchange.exported import distinct
from refq.vectors.exchange.memory import Text
from refq.vectors.exchange.words import Words, bits_of

RESERVED = {"clk", "rst", "seed", "limit", "idle", "stepped", "bench", "dut", "progress", "done", "errors", "report"}


@dataclass(frozen=True)
class Stream:
    """`name` in the module; `tensor`; `way`: "in" or "out"; `words`: how codes lie in a word; `count`: words of a case;
    `full`, `last`: masks of the bits that hold codes, in every word and in the last of a case."""

    name: str
    tensor: str
    way: str
    words: Words
    count: int
    full: int
    last: int

    @property
    def bits(self):
        return self.words.word


def streams(chosen, word, first):
    """The streams of the one unit; raises IllFormed for several units, Unsupported for what no stream carries."""
    if chosen.units is not None and len(chosen.units) > 1:
        raise IllFormed(f"--unit matches {len(chosen.units)} units, and a bench is of one; name one of "
                        f"{', '.join(u.name.replace(' + ', ',') for u in chosen.units[:4])}")
    program = chosen.program
    if chosen.units is None:
        names = [(n, n, way) for ns, way in ((program.inputs, "in"), (program.outputs, "out")) for n in ns]
    else:
        names = [(a.name, stands, "out" if a.way == "out" else "in")
                 for a, stands in cnames.signature(chosen.units[0], program)
                 if a.way != "size" and stands not in program.constants]
    own = distinct([key for key, *_ in names], verilog_name)
    found = [stream(own[key], tensor, way, program.tensors[tensor], word, first) for key, tensor, way in names]
    if not any(s.way == "in" for s in found):
        raise Unsupported("every operand of the unit is constant: there is nothing to stream; take in the step before it")
    return found


def verilog_name(text):
    name = cnames.identifier(text)
    return f"t_{name}" if name in RESERVED or not name[:1].isalpha() else name


def stream(name, tensor, way, said, word, first):
    codes, bits = int(np.prod(said.shape)), bits_of(said.width)
    words = Words(word or bits, first)
    if words.span(bits) > 1:
        raise Unsupported(f"--word {word}: {tensor} has codes of {bits} bits, and a word of a stream holds whole codes; "
                          f"take at least {bits}")
    if not codes:
        raise Unsupported(f"tensor {tensor} has no elements: there is nothing to stream")
    lanes, count = words.lanes(bits), words.count(codes, bits)
    masks = [number(words.mask(n, bits)) for n in (lanes, codes - (count - 1) * lanes)]
    return Stream(name, tensor, way, words, count, *masks)


def number(bits):
    """Bits, the lowest first, as an integer."""
    return int("".join(map(str, bits[::-1].tolist())), 2)


def written(chosen, folder, found):
    """Write NAME.hex of every stream and the constants; gives the entries of the index."""
    entries, program, files = [], chosen.program, {}
    for name, what in chosen.tensors.items():
        if what == "constant":
            (folder / "constants").mkdir(exist_ok=True)
            file, codes = f"constants/{chosen.stems[name]}.hex", program.constants[name]
            text = Text(4, bits_of(program.tensors[name].width), "low", "big")
            (folder / file).write_bytes(text.encode(codes, program.tensors[name].width))
            entries.append(chosen.entry(name, None, file=file, **text.stated(codes, program.tensors[name].width)))
    for i in range(chosen.cases):
        codes = chosen.case(i)
        for s in found:
            text = Text(4, s.bits, s.words.first, "big")
            width = program.tensors[s.tensor].width
            files.setdefault(s.name, []).append(text.lines(s.words.pack(codes[s.tensor], width)))
            more = {"device": f"got_{s.name}.hex"} if s.way == "out" else {}
            entries.append(chosen.entry(s.tensor, i, file=f"{s.name}.hex", stream=s.name, at=i * s.count, **more,
                                        **text.stated(codes[s.tensor], width)))
    for name, parts in files.items():
        (folder / f"{name}.hex").write_bytes(b"".join(parts))
    return entries


def read(path, entry):
    """(codes, unknown) of one case out of the words that a bench wrote of a stream."""
    lines = path.read_bytes().split()[entry["at"]:entry["at"] + entry["words"]]
    text = Text(4, entry["word"], entry["first"], "big")
    return text.decode(b"\n".join(lines), path, entry)
