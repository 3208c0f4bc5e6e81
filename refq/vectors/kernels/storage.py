"""Storage: how a device keeps an operand: its layout, pitch and padding, and several small codes in one word.

A device's array is a row of lanes. Each lane holds an element of the operand or padding; a word holds one lane, or
as many of `bits` bits as it has room for:

    layout    the order of the elements (layout.py)
    axis      the part of the layout along which codes share a word; every line along it begins with a word of its own
              (without it the lanes are joined as they come, and only the last word is filled up)
    strides   the distance of two neighbours along each part, in lanes; what lies between is padding
    order     which code of a word lies in its low bits: the first (low_first) or the last (high_first)
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import as_strided

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.vectors.exchange.words import Words
from refq.vectors.kernels.layout import Layout

MOST = 2**31


@dataclass(frozen=True, eq=False)
class Storage:
    """Of an operand of `shape`: codes of `bits` bits (of `signed` ones where they are read back) in words of `word` bits.
    `pad`: what padding holds; None: 0 is written there, and what is read is not looked at. `where`: begins sentences."""

    shape: tuple
    layout: Layout
    dtype: np.dtype
    bits: int
    word: int
    signed: bool = True
    order: str = "low_first"
    axis: str | None = None
    strides: tuple | None = None
    pad: int | None = None
    where: str = ""

    @property
    def words(self):
        return Words(self.word, self.order.removesuffix("_first"))

    @property
    def plain(self):
        """Is a word one element of the dtype?"""
        return self.bits == self.word == 8 * self.dtype.itemsize

    @cached_property
    def lanes(self):
        """The element that each lane holds, by its number in the operand; -1 for padding."""
        size = int(np.prod(self.shape, dtype=np.int64))
        flat = self.layout.pack(np.arange(size).reshape(self.shape), -1, self.where)
        array = flat.reshape(self.layout.sizes(self.shape, self.where))
        if self.axis:
            array = self.joined(array)
        if self.strides:
            array = self.apart(array)
        fill = -array.size % self.words.lanes(self.bits)
        return np.concatenate([array.reshape(-1), np.full(fill, -1)])

    def joined(self, array):
        """The lanes of a word, which lie along `axis`, made the last axis."""
        if self.axis not in self.layout.names:
            raise IllFormed(f"{self.where}: axis {self.axis!r} is none of {', '.join(self.layout.names)}")
        at, per = self.layout.names.index(self.axis), self.words.lanes(self.bits)
        fill = [(0, 0)] * array.ndim
        fill[at] = (0, -array.shape[at] % per)
        array = np.pad(array, fill, constant_values=-1)
        return np.moveaxis(array.reshape(*array.shape[:at], -1, per, *array.shape[at + 1:]), at + 1, -1)

    def apart(self, array):
        """The lanes at their strides."""
        if len(self.strides) != array.ndim:
            raise IllFormed(f"{self.where}: {len(self.strides)} strides for the axes {' '.join(self.layout.names)}; "
                            "give one each, in lanes")
        reach = 1
        for stride, size in sorted(zip(self.strides, array.shape)):
            if size > 1 and stride < reach:
                raise IllFormed(f"{self.where}: strides {list(self.strides)} put two elements of {array.shape} in one place")
            reach += stride * (size - 1)
        if reach > MOST:
            raise IllFormed(f"{self.where}: strides {list(self.strides)} make an array of {reach} elements")
        room = np.full(reach if array.size else 0, -1)
        if array.size:
            as_strided(room, array.shape, [8 * s for s in self.strides])[...] = array
        return room

    @property
    def nbytes(self):
        """Bytes of the device's array, each word of whole bytes."""
        return self.words.count(len(self.lanes), self.bits) * -(-self.word // 8)

    def pack(self, codes):
        """The device's array as bytes, words little-endian."""
        flat = np.concatenate([codes.reshape(-1), np.array([self.pad or 0], codes.dtype)])[self.lanes]
        if self.plain:
            return flat.astype(self.dtype).view(np.uint8)
        return np.packbits(self.words.pack(flat, Width(self.bits, self.bits == 64)), axis=1, bitorder="little").reshape(-1)

    def read(self, raw):
        """(codes of every lane, which are unknown or None) of the device's bytes, or of its (bits, unknown bits)."""
        if isinstance(raw, tuple):
            return self.words.unpack(raw[0], len(self.lanes), Width(self.bits, self.signed or self.bits == 64), raw[1])
        if self.plain:
            return raw.view(self.dtype), None
        bits = np.unpackbits(raw.reshape(-1, -(-self.word // 8)), axis=1, bitorder="little")[:, :self.word]
        return self.read((bits, None))

    def elements(self, lanes):
        """The operand's own array out of that of all lanes."""
        array = np.empty(self.shape, lanes.dtype)
        array.reshape(-1)[self.lanes[self.lanes >= 0]] = lanes[self.lanes >= 0]
        return array

    def padding(self, lanes):
        """The array of the lanes that hold padding."""
        return lanes[self.lanes < 0]
