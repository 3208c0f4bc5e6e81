"""hex: words for $readmemh, one a line, one file for each tensor of each case.

Codes lie in words of `word` bits at their true width, `first` low or high (refq/vectors/exchange/words.py). `endian`: "big": a
line is the word as a number, highest digit first, as Verilog means it; "little": its bytes come lowest first, as a byte
dump of memory shows them (then a word has a multiple of 8 bits). The first lines are comments that say all this.
"""
from refq.vectors.exchange import memory
from refq.vectors.exchange.exported import one_file_each


def export(chosen, folder, *, word=32, first="low", endian="big"):
    text = memory.Text(4, word, first, endian)
    return one_file_each(chosen, folder, ".hex", text.encode, text.stated)


def read(path, entry):
    return memory.Text(4, entry["word"], entry["first"], entry["bytes"].removesuffix("-endian")).read(path, entry)
