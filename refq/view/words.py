"""words: what the row of an operation states that has it alone, and machine words of several codes as a picture of their bits.

In a picture each bit is a character, the highest first: the number of the field whose code or product needs it, a dot where it
is free: between two fields these are the guard bits.
"""
from refq import ops
from refq.errors import IllFormed, nearest
from refq.ints.row import plain, stated
from refq.ints.width import Width
from refq.view import flow
from refq.view.glossary import ROWS
from refq.view.show import table
from refq.view.summary import many


def published(name, width=None):
    """(value, text) of a row that a source states, named as "matmul_packed:agile_quant_u4"; raises IllFormed for another.
    `width`: of the terminal, or None."""
    op, _, key = name.partition(":")
    rows = ops.published(op)
    if key not in rows:
        raise IllFormed(f"{op} has no published row {key!r}; {nearest(key, rows)}" if rows else
                        f"{op} has no published rows: dialects have rows of it; refq show {op} tells its fields")
    row = rows[key]
    words = plain(row)
    fields = [[k, "none" if words[k] is None else str(words[k]), ROWS.get(k, "")] for k in stated(row)]
    operands = [[name, str(o.width), " ".join(o.names) or "one", f"{o.lo} to {o.hi}"] for name, o in row.takes.items()]
    operands += [[f"{name} (given)", str(o.width), " ".join(o.names) or "one", ""] for name, o in row.gives.items()]
    parts = [f"{name}, a row of {op} that its source states",
             table(["operand", "width", "axes", "codes"], operands)]
    parts += [flow.table(["field", "is", "says"], fields, width)] if fields else []
    drawn = PICTURES[op](row) if op in PICTURES else []
    if drawn:
        parts.append("\n".join(drawn))
    return {"operation": op, "published": key, "row": words, "words": drawn}, "\n\n".join(parts)


def bits_of(lo, hi):
    """How many bits hold lo to hi; with a sign where lo is below 0."""
    return next(bits for bits in range(1 + (lo < 0), 64) if lo in Width(bits, lo < 0) and hi in Width(bits, lo < 0))


def picture(name, width, fields):
    """A word as a line; `fields`: (its character, its lowest bit, the bits needed)."""
    bits = ["."] * width.bits
    for mark, at, needed in fields:
        bits[at:at + needed] = [mark] * len(bits[at:at + needed])
    return f"{name:9}{str(width):5}{''.join(reversed(bits))}"


def needed(fields):
    """The Fields of a word (refq.ints.fields) as `picture` takes them."""
    return [(str(i), f.at, f.held.bits - f.guard) for i, f in enumerate(fields)]


def of_packed(row):
    lanes, ends = row.lanes, [c + row.lanes.offset for c in row.lanes.code]
    each = bits_of(*ends)
    product, fits = lanes.product, row.summed.drain
    lifted = f", lifted by {lanes.offset}," if lanes.offset else ""
    return [picture("codes", row.word, [(str(i), f.at, each) for i, f in enumerate(lanes.parts)]),
            picture("product", row.word, needed(lanes.parts)), picture("sums", row.sums, needed(row.summed.parts)), "",
            f"a code{lifted} is {ends[0]} to {ends[1]}, a product {product[0]} to {product[1]};",
            f"with {row.summed.guard} guard bits a field of sums holds {many(fits, 'product')}, and is emptied after {row.drain}"]


def of_pairs(row):
    low, mid = row.parts
    return [picture("two x", Width(row.apart + row.x.bits, False), [("0", 0, row.x.bits), ("1", row.apart, row.x.bits)]),
            picture("two w", Width(row.apart + row.w.bits, False), [("1", 0, row.w.bits), ("0", row.apart, row.w.bits)]),
            picture("product", row.word, [("-", 0, low.held.bits - low.guard), ("+", mid.at, mid.held.bits - mid.guard),
                                          ("-", 2 * row.apart, bits_of(0, low.most))]), "",
            f"the middle field (+) is x0*w0 + x1*w1, 0 to {mid.most}, and the others (-) are not read;",
            f"{many(min(low.drain, mid.drain), 'product')} fit, and fields are emptied after {row.drain}"]


def of_fours(row):
    one, least = bits_of(0, row.x.hi), bits_of(row.w.lo, row.w.hi)
    return [picture("two x", Width(row.x_apart + one, False), [("0", 0, one), ("1", row.x_apart, one)]),
            picture("two w", Width(row.w_apart + least), [("0", 0, least), ("1", row.w_apart, least)]),
            picture("product", Width(48), needed(row.parts)), "",
            "the fields are x0*w0, x1*w0, x0*w1 and x1*w1; a negative one borrows from the one above;",
            f"correction: {row.correction}"]


PICTURES = {"matmul_packed": of_packed, "matmul_ulppack": of_pairs, "matmul_dsp48": of_fours}
