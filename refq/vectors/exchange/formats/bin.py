"""bin: raw bytes, one file for each tensor of each case, without a header.

Each code lies in the container of its width (i4 as int8); with `word`, codes lie side by side at their true width in
words of so many bits (a multiple of 8), as refq/vectors/exchange/words.py says. `endian`: order of the bytes of a container or
word. `align`: the file is filled up with zero bytes to a multiple of it.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints.width import width as width_of
from refq.vectors.exchange.exported import one_file_each
from refq.vectors.exchange.words import Words, bits_of

ENDIANS = {"little": "<", "big": ">"}


def export(chosen, folder, *, word=None, first="low", endian="little", align=1):
    words = admitted(word, first, endian)
    if not 1 <= align <= 1 << 20:
        raise IllFormed(f"--align {align}: a number of bytes from 1 to {1 << 20}")

    def encode(codes, width):
        data = raw(codes, width, words, endian)
        return data + bytes(-len(data) % align)

    def stated(codes, width):
        held = words.stated(codes.size, bits_of(width)) if words else {"container": width.dtype.name}
        size = len(raw(codes, width, words, endian))
        return held | {"bytes": f"{endian}-endian", "alignment": align, "zero_bytes_at_the_end": -size % align}

    return one_file_each(chosen, folder, ".bin", encode, stated)


def admitted(word, first, endian):
    """Words, or None for containers; raises IllFormed for what bytes cannot hold."""
    if endian not in ENDIANS:
        raise IllFormed(f"--endian {endian}: little or big")
    if word is None:
        return None
    if word % 8:
        raise IllFormed(f"--word {word}: words in a raw file have a multiple of 8 bits")
    return Words(word, first)


def raw(codes, width, words, endian):
    if words is None:
        return np.asarray(codes, width.dtype.newbyteorder(ENDIANS[endian]), order="C").tobytes()
    each = np.packbits(words.pack(codes, width), axis=1, bitorder="little")
    return np.ascontiguousarray(each if endian == "little" else each[:, ::-1]).tobytes()


def read(path, entry):
    width, shape = width_of(entry["width"]), tuple(entry["shape"])
    count, endian = int(np.prod(shape)), entry["bytes"].removesuffix("-endian")
    words = Words(entry["word"], entry["first"]) if "word" in entry else None
    size = words.count(count, width.bits) * words.word // 8 if words else count * width.dtype.itemsize
    data = path.read_bytes()
    if len(data) not in (size, size + entry["zero_bytes_at_the_end"]):
        raise IllFormed(f"{path}: {len(data)} bytes; {entry['tensor']} takes {size}")
    if words is None:
        codes = np.frombuffer(data[:size], width.dtype.newbyteorder(ENDIANS[endian]))
        return codes.astype(width.dtype).reshape(shape), None
    each = np.frombuffer(data[:size], np.uint8).reshape(-1, words.word // 8)
    bits = np.unpackbits(np.ascontiguousarray(each if endian == "little" else each[:, ::-1]), axis=1, bitorder="little")
    return words.unpack(bits, count, width)[0].reshape(shape), None
