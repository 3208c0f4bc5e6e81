"""Lane mutants: two neighbouring channels share a machine word, and it is packed, drained or taken apart wrongly.

Kernels of codes of at most 4 bits put the weights of two channels into one word (refq/ints/lanes.py) and add up products of
both at once. What they then do wrong shows in both channels, and only where a field is full or borrows. Where no code has a
sign, nothing borrows, and products are those of the codes as they are. An operation whose row says how words are packed lists
mistakes of its own; only what it leaves out is here.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints.lanes import Lanes
from refq.ints.width import U32

FIELD, MOST, NEVER = 16, 4, 1 << 30
OWN = {"weights of two channels exchanged", "not cleared after a drain", "last drain lost", "borrow forgotten"}
"""What the slips of an operation on packed words are as well."""


def mutants(step):
    """(kind, name, phrase, local, wrap) for sums of products of weights of at most 4 bits; none for other operations."""
    takes = step.row.takes
    if not {"x", "w", "zx", "zw"} <= set(takes) or takes["w"].width.bits > MOST:
        return
    if (takes["x"].names, takes["w"].names) != (("n", "k"), ("m", "k")):
        return
    if hasattr(step.row, "drain") and not hasattr(step.row, "lanes"):
        return
    x, w = takes["x"].width, takes["w"].width
    bare = not (x.signed or w.signed)
    try:
        lanes = Lanes(U32, 2, FIELD, "bias" if bare else "borrow", (w.lo, w.hi), (x.lo, x.hi))
    except IllFormed:
        return
    right = {"pack": lanes.pack, "drain": halves if bare else drained, "after": lanes.drain, "kept": False, "bare": bare}
    ways = {f"drained after {d}": (f"two channels share a word, drained after {d} products where {lanes.drain} fit", {"after": d})
            for d in (lanes.drain + 1, 291, 512) if d > lanes.drain}
    ways |= {
        "weights of two channels exchanged": ("the weights of two neighbouring channels are packed in the other order",
                                              {"pack": lambda codes: lanes.pack(codes[..., ::-1])}),
        "never drained": ("two channels share a word that is drained at the end only", {"after": NEVER}),
        "not cleared after a drain": ("a word of two channels is drained and goes on with what it held", {"kept": True}),
        "last drain lost": ("what is left in a word of two channels at the end is not drained", {"last": False}),
    }
    ways |= {} if bare else {
        "borrow forgotten": ("the high one of two channels in a word does not get the borrow of the low one back",
                             {"drain": lambda word: (low(word), high(word, 0))}),
        "borrow given twice": ("the high one of two channels in a word gets the borrow of the low one back twice",
                               {"drain": lambda word: (low(word), high(word, 2))}),
        "low field unsigned": ("the low one of two channels in a word is read unsigned",
                               {"drain": lambda word: (word & 0xFFFF, high(word, 1))}),
        "high field unsigned": ("the high one of two channels in a word is read unsigned",
                                {"drain": lambda word: (low(word), (word >> FIELD) + (word >> FIELD - 1 & 1) & 0xFFFF)}),
        "sign masked when packed": ("the low weight of a word is masked to its field: it never borrows, and the repair adds one",
                                    {"pack": lambda codes: U32.wrap((codes[..., 0] & 0xFFFF) + (codes[..., 1] << FIELD))}),
        "bias of weights not taken off": (f"weights are packed plus {-w.lo}, which is never taken off",
                                          {"pack": lambda codes: lanes.pack(codes - w.lo)}),
    }
    own = OWN | {f"drained after {d}" for d in (lanes.drain + 1, 512)} if hasattr(step.row, "lanes") else ()
    for name, (phrase, change) in ways.items():
        if name not in own:
            yield "term", f"lanes: {name}", phrase, False, packed({"last": True, **right, **change})


def low(word):
    return (word & 0xFFFF ^ 0x8000) - 0x8000


def high(word, borrows):
    return low((word >> FIELD) + borrows * (word >> FIELD - 1 & 1))


def drained(word):
    return low(word), high(word, 1)


def halves(word):
    return word & 0xFFFF, word >> FIELD


def packed(way):
    """The sums of pairs of channels in words, on top of what zero points and bias make without any products."""
    def wrap(run):
        def altered(operands, **how):
            x, w = operands["x"], operands["w"].astype(np.int64)
            bare = run({**operands, "x": x[:, :0], "w": operands["w"][:, :0]}, **how)["acc"].astype(np.int64)
            offset, zx = operands["zw"].astype(np.int64), np.int64(operands["zx"])
            bare = bare - offset * (x.astype(np.int64) - zx).sum(1)[:, None] - zx * w.sum(1) * way["bare"]
            x = x.astype(np.int64) - zx * (not way["bare"])
            paired = np.concatenate([w, w[-1:]]) if len(w) % 2 else w
            words = way["pack"](paired.reshape(-1, 2, w.shape[1]).swapaxes(1, 2))             # (pairs k)
            sums = np.zeros((len(x), len(words), 2), np.int64)
            word, filled = np.zeros((len(x), len(words)), np.int64), 0
            for k in range(x.shape[1]):
                word, filled = U32.wrap(word + x[:, k, None] * words[:, k]), filled + 1
                if filled == way["after"]:
                    sums += np.stack(way["drain"](word), -1)
                    word, filled = word * way["kept"], 0
            if way["last"] or x.shape[1] < way["after"]:
                sums += np.stack(way["drain"](word), -1)
            return {"acc": bare + sums.reshape(len(x), -1)[:, :len(w)]}
        return altered
    return wrap
