"""Words of several codes, one line for each: what matmul_packed, matmul_ulppack and matmul_dsp48 do for one element.

A word is shown in hexadecimal digits (as a number in JSON), and behind it what its fields hold, the highest first, as the word
itself lies.
"""
import numpy as np

WORDS = {"matmul_packed": ("packed", "product", "spread", "sum"), "matmul_ulppack": ("packed_x", "packed_w", "product", "sum"),
         "matmul_dsp48": ("packed_x", "packed_w", "product", "carry", "carried", "field", "repaired")}
"""The sites of each operation that see a word for every multiplication."""
BESIDE = ("field", "repaired")
"""Those that are passed once for each field."""


def table(op, part, row, seen, index):
    """{"head", "rows", "marks", "hex", "then"} as explain_sums.table gives it: `hex`: column to the digits of its words; `then`:
    which of the sums is the element's, and what joins it, as [sign, name, value]."""
    x, w = part["x"].astype(np.int64), part["w"].astype(np.int64)
    words = {name: along(seen, name) for name in WORDS[op]}
    columns = {"k": np.arange(x.shape[-1])} | CODES[op](x, w)
    digits = {}
    for name, (found, width) in words.items():
        for i, one in enumerate(found):
            place = i + (name == "repaired")
            title = f"field {place}" if name in BESIDE else name            # what is repaired stands for what it was before
            columns[title] = one
            digits |= {} if name in BESIDE else {title: -(-width.bits // 4)}
            columns |= FIELDS.get((op, name), nothing)(row, one)
    if op == "matmul_packed" and row.apart == row.spread:
        del columns["spread"]
    count = len(next(iter(words.values()))[0][0])
    columns["k"] = columns["k"] if op != "matmul_ulppack" else 2 * np.arange(count)
    rows = [[int(column[i]) for column in columns.values()] for i in range(count)]
    marks = {}
    if op != "matmul_dsp48":
        each = row.drain if op == "matmul_packed" else min(row.drain, row.block // 2)
        marks = {i: "the fields are emptied" for i in range(count) if (i + 1) % each == 0 or i == count - 1}
    return {"head": list(columns), "rows": rows, "marks": marks, "hex": digits, "then": joining(op, part, x, w, row, index)}


def along(seen, name):
    """The words of a site, as many lists as it passes side by side, and their width: the element has one word."""
    found = [(after.reshape(-1, after.shape[-1])[0], width) for site, _, _, _, _, after, width in seen if site == name]
    parts, width = [one for one, _ in found], found[0][1] if found else None
    return parts if name in BESIDE or not parts else [np.concatenate(parts)], width


def rows_of(x, w):
    """The codes of each row of activations and weights, the highest first."""
    x, w = x.reshape(-1, x.shape[-1]), w.reshape(-1, w.shape[-1])
    return {named(c, i, codes): codes[i] for c, codes in (("x", x), ("w", w)) for i in range(len(codes))[::-1]}


def named(c, i, codes):
    return c if len(codes) == 1 else f"{c}{i}"


def pairs(x, w):
    """Two neighbours along k, as each word holds them."""
    x, w = (np.pad(codes.reshape(-1), (0, codes.size % 2)) for codes in (x, w))
    return {"x1": x[1::2], "x0": x[::2], "w0": w[::2], "w1": w[1::2]}


CODES = {"matmul_packed": rows_of, "matmul_ulppack": pairs, "matmul_dsp48": rows_of}


def nothing(row, words):
    return {}


def products(row, words):
    return {f"p{i}": field for i, field in reversed(list(enumerate(row.lanes.fields_of(words))))}


def sums(row, words):
    return {f"s{i}": field for i, field in reversed(list(enumerate(row.summed.fields_of(words))))}


def middle(letter):
    def fields(row, words):
        return {f"{letter} middle": words >> row.apart & (1 << row.apart) - 1}
    return fields


FIELDS = {("matmul_packed", "product"): products, ("matmul_packed", "sum"): sums,
          ("matmul_ulppack", "product"): middle("p"), ("matmul_ulppack", "sum"): middle("s")}
"""What a word's fields hold, by (operation, site): `(row, words)` to columns."""


def joining(op, part, x, w, row, index):
    """What makes the element at `index` of the sums that come out of its words: [sign, name, value]; what is 0 is left out."""
    channel, line = index[-1], index[-2] if op == "matmul_dsp48" else 0
    activations = x.reshape(-1, x.shape[-1])[line]
    weights, zx, zw = w[channel], int(part["zx"]), int(np.reshape(part["zw"], -1)[channel])
    lifted = row.lanes.offset if op == "matmul_packed" else 0
    terms = [["-", f"{lifted} * sum of x", lifted * int(activations.sum())], ["+", "bias", int(part["bias"][channel])],
             ["-", "zx * sum of w", zx * int(weights.sum())], ["-", "zw * sum of x", zw * int(activations.sum())],
             ["+", "k * zx * zw", len(weights) * zx * zw]]
    taken = {"matmul_packed": f"lifted[{channel}]", "matmul_dsp48": f"total[{line + 2 * channel}]"}.get(op)
    return [*([["this", taken, None]] if taken else []), *(term for term in terms if term[2])]
