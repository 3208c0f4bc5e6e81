"""dense: what layouts share that keep every code: lines of codes, as lines.py says, in one array of words."""
import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.layouts.loops import packing, unpacking

FEW = 1 << 17
"""So few codes are packed in NumPy: to compile a loop for them takes longer."""


class Dense:
    """The parent of such a layout. A child has `PARTS` with one name, `dtype` of the words (little-endian), `line`, and may turn
    codes into lines by `lines(codes)`, back by `codes(lines, shape)`, and words around by `words` and `raw`."""

    dtype = np.dtype("u1")
    pads = True
    """Whether padding is written as zeros and refused otherwise; otherwise it is not looked at."""

    @property
    def lo(self):
        return self.line.lo

    @property
    def hi(self):
        return self.line.hi

    @property
    def where(self):
        """The name that begins sentences."""
        return type(self).__module__.rpartition(".")[2]

    def lines(self, codes):
        """Codes (rows k) as lines (n k')."""
        return codes

    def codes(self, lines, shape):
        return lines.reshape(shape)

    def extent(self, shape):
        """(lines, codes in each) of codes of `shape`."""
        return shape

    def words(self, raw):
        """Bytes (n j) as the array of words that a file holds."""
        return np.ascontiguousarray(raw).view(self.dtype)

    def raw(self, words, lines):
        """The bytes (n j) of such an array."""
        return np.ascontiguousarray(words).view(np.uint8)

    def pack(self, codes):
        """{part: words} of codes (rows k); raises IllFormed for codes that the layout does not hold, and for a length that is no
        whole number of words where it takes no other."""
        lines = self.lines(self.line.admit(codes, self.where))
        self.fits(lines.shape)
        if lines.size < FEW:
            made = self.line.placed(self.line.kept(lines.astype(np.int64)) & (1 << self.line.width.bits) - 1).astype(np.uint8)
        else:
            made = np.empty((len(lines), self.line.length(lines.shape[1])), np.uint8)
            packing(self.line)(np.ascontiguousarray(lines, self.line.codes.dtype), made)
        return {self.PARTS[0]: self.words(made)}

    def unpack(self, parts, shape):
        """The codes (rows k) = `shape` of {part: words}; raises Corrupt for words that are not those of such codes."""
        words = self.held(parts)
        count, length = self.extent(tuple(shape))
        self.fits((count, length))
        if not count * length and not words.size:
            return self.codes(np.empty((count, length), self.line.codes.dtype), tuple(shape))
        raw = self.raw(words, count)
        if len(raw) != count:
            raise Corrupt(f"{self.where}: {self.PARTS[0]} has {len(raw)} lines of words, and {count} belong to codes "
                          f"{tuple(shape)}")
        if raw.shape[1] != self.line.length(length):
            raise Corrupt(f"{self.where}: {self.PARTS[0]} has lines of {raw.shape[1]} bytes; {length} codes of "
                          f"{self.line.width.bits} bits take {self.line.length(length)}")
        if self.pads:
            self.line.checked(raw, length, f"{self.where}: {self.PARTS[0]}")
        if count * length < FEW:
            made = self.line.meant(self.line.taken(raw))[:, :length].astype(self.line.codes.dtype)
        else:
            made = np.empty((count, length), self.line.codes.dtype)
            unpacking(self.line)(raw, made)
        return self.codes(made, tuple(shape))

    def held(self, parts):
        """The words among `parts`; raises Corrupt for another name or dtype."""
        if set(parts) != set(self.PARTS):
            given = ", ".join(sorted(map(str, parts))) or "are missing"
            raise Corrupt(f"{self.where}: parts {given}; it has {', '.join(self.PARTS)}")
        words = np.asarray(parts[self.PARTS[0]])
        if words.dtype.kind not in "iu" or words.dtype.itemsize != self.dtype.itemsize:
            raise Corrupt(f"{self.where}: {self.PARTS[0]} is {words.dtype}; its words are {self.dtype}")
        return words

    def fits(self, extent):
        """Refuses lines whose length the format does not have."""


class Flat(Dense):
    """Codes of the whole tensor in one line, rows behind each other."""

    def lines(self, codes):
        return codes.reshape(1, -1)

    def extent(self, shape):
        return 1, int(np.prod(shape, dtype=np.int64))

    def words(self, raw):
        return raw.reshape(-1)

    def raw(self, words, lines):
        return np.ascontiguousarray(words).reshape(1, -1)


class Columns(Dense):
    """Words of int32 that stand one below the other: line n is column n, and only whole words are filled."""

    dtype = np.dtype("<i4")

    def words(self, raw):
        return np.ascontiguousarray(np.ascontiguousarray(raw).view(self.dtype).T)

    def raw(self, words, lines):
        if words.ndim != 2:
            raise Corrupt(f"{self.where}: {self.PARTS[0]} is {words.shape}; it has two axes")
        return np.ascontiguousarray(words.astype(self.dtype, copy=False).T).view(np.uint8)

    def fits(self, extent):
        whole(self, extent)


class Across(Columns):
    """Words of int32 side by side, of codes that lie across: line n holds code n of every row."""

    def lines(self, codes):
        return codes.T

    def codes(self, lines, shape):
        return np.ascontiguousarray(lines.T)

    def extent(self, shape):
        return shape[1], shape[0]

    def words(self, raw):
        return np.ascontiguousarray(raw).view(self.dtype)

    def raw(self, words, lines):
        if words.ndim != 2:
            raise Corrupt(f"{self.where}: {self.PARTS[0]} is {words.shape}; it has two axes")
        return np.ascontiguousarray(words.astype(self.dtype, copy=False)).view(np.uint8)


def whole(layout, extent):
    """Refuses lines that are no whole number of units."""
    if extent[1] % layout.line.block:
        raise IllFormed(f"{layout.where}: {extent[1]} codes in a line; it packs {layout.line.block} at a time, and pads none")
