"""memb: words for $readmemb, one a line, binary digits; else as hex."""
from refq.vectors.exchange import memory
from refq.vectors.exchange.exported import one_file_each


def export(chosen, folder, *, word=32, first="low", endian="big"):
    text = memory.Text(1, word, first, endian)
    return one_file_each(chosen, folder, ".memb", text.encode, text.stated)


def read(path, entry):
    return memory.Text(1, entry["word"], entry["first"], entry["bytes"].removesuffix("-endian")).read(path, entry)
