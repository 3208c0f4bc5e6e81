"""A command that takes its operands as files in a folder and leaves its results there: other architectures, simulators
of RTL, wrappers of GPU code. The folder of a call holds, when the command starts,

    NAME.bin or NAME.hex   every operand, and every result, filled with 0xAA (in the second run 0x55) up to its size:
                           a wrapper reads it into its result's buffer first, so that what is never written shows
    sizes.txt              a line `NAME VALUE` for every argument passed by value

    bin    words little-endian, each of whole bytes; an element is a word unless kernel.toml says bits or word
    hex    a line of hex digits for each word, as $readmemh reads them; an element with an x or z digit, or one that a
           result's file lacks, counts as wrong

`{folder}` in the command becomes the folder, `{NAME}` the argument of that name passed by value. The command ends with
the exit status `success`. With `batch = true` it runs once for all cases: {folder} holds 0000, 0001, ... in the order in
which they are to be done, each as above, a sizes.txt of its own with `cases` N and the values that are the same in all.
"""
import re
from itertools import count

import numpy as np

from refq.errors import Corrupt, IllFormed, RefqError, nearest
from refq.vectors.exchange.memory import Text
from refq.vectors.kernels import process
from refq.vectors.kernels.calls import Calls
from refq.vectors.kernels.workers import HANGS, words

FIELD = re.compile(r"\{(\w*)\}")
SIZES = "sizes.txt"


class Command:
    """The calls of one unit; `folder`: a temporary one for the files."""

    def __init__(self, kernel, unit, golden, folder):
        self.calls, self.kernel, self.folder, self.tries = Calls(kernel, unit, golden), kernel, folder, count()
        self.poison, self.results = self.calls.poison, list(self.calls.results)
        self.where, self.hangs = f"{kernel.path}: {kernel.prototype.name} on unit {unit.name}", 0

    def run(self, turns):
        """Make the calls of some turns: as Calls.by_case gives it."""
        raws, faults, self.hangs = {}, {}, 0
        for turn in turns:
            order = [g for g in self.calls.order(turn) if g not in faults]
            if self.kernel.batch is not True or order and not self.at_once(turn, order, raws, faults):
                for group in order:                 # of a batch too: what is wrong with one case is not held against others
                    self.at_once(turn, [group], raws, faults)
        return self.calls.by_case(raws, faults)

    def at_once(self, turn, order, raws, faults):
        """One run of the command on some groups; is the run, if it was of several, to be taken for what it gave?"""
        if self.hangs == HANGS:
            faults |= {group: "not run, since other cases ran too long" for group in order}
            return True
        folder = self.folder / f"{next(self.tries)}-{turn.name}"
        places = [folder / f"{at:04d}" if self.kernel.batch is True else folder for at in range(len(order))]
        for place, group in zip(places, order):
            self.fill(place, group, turn)
        each = [self.values(group) for group in order]
        values = {n: v for n, v in each[0].items() if all(other[n] == v for other in each)} if each else {}
        if self.kernel.batch is True:
            folder.mkdir(exist_ok=True)
            values = {"cases": len(order)} | values
            write_sizes(folder, values)
        ended = self.execute(folder, values)
        if ended.status != self.kernel.success and len(order) > 1:
            return False
        self.hangs += ended.status is None
        for place, group in zip(places, order):
            self.collect(place, turn, group, ended, raws, faults)
        return True

    def fill(self, place, group, turn):
        """Write the folder of one call."""
        place.mkdir(parents=True)
        write_sizes(place, self.values(group))
        for given in self.calls.given[group]:
            if given.storage:
                path = place / self.file(given)
                raw = np.full(given.nbytes, turn.fill, np.uint8) if given.tensor else given.packed
                text = self.text(given)
                path.write_bytes(text.lines(bits_of(raw, given.storage.word)) if text else raw.tobytes())

    def execute(self, folder, values):
        """Run the command once."""
        known = values | {"folder": str(folder)}

        def filled(found):
            if found[1] not in known:
                raise IllFormed(f"{self.kernel.path}: command names {found[0]}, which is nothing passed by value: "
                                f"{nearest(found[1], tuple(known))}")
            return str(known[found[1]])
        command = [FIELD.sub(filled, word) for word in self.kernel.command]
        try:
            return process.run(command, self.kernel.time_limit, cwd=self.kernel.path.parent.absolute())
        except OSError as e:
            raise RefqError(f"{self.kernel.path}: command {command[0]!r} cannot be run ({e.strerror}); install it, or mend "
                            "command") from None

    def collect(self, place, turn, group, ended, raws, faults):
        """Read the results of one call; what is wrong with them is the group's fault."""
        if ended.status != self.kernel.success:
            faults[group] = words(ended, self.kernel.time_limit)
            return
        try:
            raws[turn.name, group] = {g.argument.name: self.read(place / self.file(g), g)
                                      for g in self.calls.given[group] if g.tensor}
        except RefqError as e:
            faults[group] = str(e)

    def read(self, path, given):
        """What a result's file holds: bytes, or (bits, unknown bits) of its words."""
        try:
            data = path.read_bytes()
        except OSError as e:
            raise Corrupt(f"{path.name} cannot be read after the call ({e.strerror}); the command must leave it") from None
        storage = given.storage
        if text := self.text(given):
            return text.parsed(data, storage.words.count(len(storage.lanes), storage.bits), path.name)
        if len(data) != given.nbytes:
            raise Corrupt(f"{path.name} holds {len(data)} bytes, and {given.argument.name} has {given.nbytes}; write all of "
                          "it and nothing else")
        return np.frombuffer(data, np.uint8)

    def values(self, group):
        """The arguments passed by value in a call: name to number."""
        return {g.argument.name: g.codes.item() for g in self.calls.given[group] if not g.storage}

    def meaning(self, given):
        return self.kernel.arguments[given.argument.name]

    def file(self, given):
        meaning = self.meaning(given)
        return meaning.get("file", f"{given.argument.name}.{meaning.get('format', 'bin')}")

    def text(self, given):
        """The Text of a file of hex words; None for a binary one."""
        if self.meaning(given).get("format") == "hex":
            return Text(4, given.storage.word, given.storage.words.first, "big")
        return None


def bits_of(raw, word):
    """Bytes of whole words as bits (words, word)."""
    return np.unpackbits(raw.reshape(-1, -(-word // 8)), axis=1, bitorder="little")[:, :word]


def write_sizes(folder, values):
    (folder / SIZES).write_text("".join(f"{name} {value}\n" for name, value in values.items()))
