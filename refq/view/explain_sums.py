"""Sums of products, one line for each product: what matmul, batch_matmul, conv2d and mean add up for one element."""
import numpy as np

from refq import ops
from refq.machine.linear import rule_of
from refq.view import explain_words
from refq.view.explain_sites import element

SUMS = ("matmul", "batch_matmul", "conv2d")
STORED = ("matmul_two_four", "matmul_bitmap", "matmul_blocks")
"""Products of weights of which some are stored."""
PASSED = ("partial", "pair", "tile", "spilled")
"""The sites that a sum passes product by product."""


def told(op):
    """The sites of an operation that its table tells of."""
    return explain_words.WORDS.get(op, PASSED)


def table(op, part, row, origin, seen, index):
    """{"head": names, "rows": lists of integers (None where a cell is empty), "marks": row to words} of an operation's
    sum, of packed words more (explain_words.table); None for one that is no sum. `part`: its operands for the one element;
    `origin`: where these lie in their tensors (-1 in the padding); `seen`: what the sites saw."""
    if op == "mean":
        codes, centred = part["q"].reshape(-1), part["q"].reshape(-1).astype(np.int64) - part["zq"]
        rows = [[k, int(q), int(c), int(s)] for k, (q, c, s) in enumerate(zip(codes, centred, np.cumsum(centred)))]
        return {"head": ["r", "q", "q-zq", "sum"], "rows": rows, "marks": {}}
    if op in explain_words.WORDS:
        return explain_words.table(op, part, row, seen, index)
    if op in STORED:
        return stored(op, part, row, seen, index)
    if op not in SUMS:
        return None
    x, w = part["x"].reshape(-1).astype(np.int64), part["w"].reshape(-1).astype(np.int64)
    zx, zw = int(part["zx"]), int(np.reshape(part["zw"], -1)[0])
    bias = int(part["bias"].reshape(-1)[0]) if "bias" in part else 0
    padded = origin["x"].reshape(-1) < 0
    joins = {"pairs": "pair", "tiles": "tile"}.get(rule_of(row).order)
    head = ["k", *(["i", "j", "d"] if op == "conv2d" else []), "x", "x-zx", "w", "w-zw", "product", *([joins] if joins else []),
            "sum"]
    of_codes = rule_of(row).products == "codes"
    rows, marks = [[None] * (len(head) - 1) + [bias]], {0: "bias" if "bias" in part else "start"}
    for ks, joined, total, words in turns(rule_of(row), len(x), seen, index):
        for k in ks:
            at = list(map(int, np.unravel_index(k, part["w"].shape[1:]))) if op == "conv2d" else []
            last = k == ks[-1]
            rows.append([k, *at, int(x[k]), int(x[k]) - zx, int(w[k]), int(w[k]) - zw,
                         int(x[k]) * int(w[k]) if of_codes else (int(x[k]) - zx) * (int(w[k]) - zw),
                         *([joined if last else None] if joins else []), total if last else None])
            said = [*(["padding"] if padded[k] else []), *(words if last else [])]
            if said:
                marks[len(rows) - 1] = ", ".join(said)
    return {"head": head, "rows": rows, "marks": marks}


def stored(op, part, row, seen, index):
    """The table of a sum over stored weights: e counts them, k is the place that each selects."""
    columns, codes = (found[index[-1]] for found in ops.load(op).places(part, row))
    x, zx, zw = part["x"].reshape(-1).astype(np.int64), int(part["zx"]), int(np.reshape(part["zw"], -1)[index[-1]])
    there = (columns >= 0) & (columns < len(x))
    order = np.argsort(~there, stable=True)                     # those that select nothing join last
    rows, marks = [[None] * 7 + [int(np.reshape(part["bias"], -1)[index[-1]])]], {0: "bias"}
    of_codes = rule_of(row).products == "codes"
    for es, _, total, words in turns(rule_of(row), len(columns), seen, index):
        shown = [e for e in es if columns[order[e]] >= 0 or words]      # others only fill up what the spec walks
        for e in shown:
            at = order[e]
            k, w, meets, last = int(columns[at]), int(codes[at]), bool(there[at]), e == shown[-1]
            code = int(x[k]) if meets else zx
            made = (code * w if of_codes else (code - zx) * (w - zw)) if meets else 0
            rows.append([int(at), k, *((code, code - zx) if meets else (None, None)), w, w - zw, made, total if last else None])
            if said := [*([] if meets else ["selects nothing"]), *(words if last else [])]:
                marks[len(rows) - 1] = ", ".join(said)
    return {"head": ["e", "k", "x", "x-zx", "w", "w-zw", "product", "sum"], "rows": rows, "marks": marks}


def additions(rule, count):
    """The products that join the sum together, turn by turn, in the order that the rule declares: lists of k."""
    block, sums, apart = rule.blocks
    for base in range(0, count, block):
        for first in range(base, min(base + sums, count)):
            yield list(range(first, min(base + block, count), apart))


def turns(rule, count, seen, index):
    """Every addition: (its products, the pair or tile as it joins or None, the sum behind it, what happened to them)."""
    events = iter([e for e in seen if e[0] in PASSED])
    if rule.order != "exact" and not rule.spill:
        next(events)                            # the start, as the register holds it
    following = next(events, None)
    for ks in additions(rule, count):
        joined, words = None, []
        if following[0] != "partial":
            joined, words, following = element(following[5], index), happened(following, index), next(events, None)
        total, words, following = element(following[5], index), words + happened(following, index), next(events, None)
        if following is not None and following[0] == "spilled":
            words, following = [*words, f"spilled: {element(following[5], index)}"], next(events, None)
        yield ks, joined, total, words


def happened(event, index):
    name, kind, _, before, _, after, width = event
    before, after = element(before, index), element(after, index)
    if before == after:
        return []
    return [f"{'' if name == 'partial' else name + ' '}{before} {'saturates' if kind == 'clip' else 'wraps'} at {width}"]
