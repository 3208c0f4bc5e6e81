"""Steps of every operation under its default row and the rows of the dialects, and sizes to draw operands of."""
from refq import dialects, ops
from refq.graph.program import Step
from refq.vectors.mutants.smallest import sizes_of

MOVES = {"shapes": ((4, 6),), "moves": (("reshape", (4, 2, 3)), ("transpose", (1, 0, 2)))}

STORED = {"matmul_two_four": {"n": 3, "k": 8, "m": 5, "h": 4, "b": 1},
          "matmul_bitmap": {"n": 3, "k": 7, "m": 5, "v": 1, "b": 1, "p": 6},
          "matmul_blocks": {"n": 3, "k": 4, "m": 5, "v": 4, "b": 1, "p": 6}}
"""Sizes of what default rows of sparse products store."""


def steps_of():
    """One Step for each operation and distinct row."""
    found = {}
    for op in ops.names():
        Row = ops.load(op).Row
        rows = [Row(**MOVES)] if op == "arrange" else [Row()]
        rows += [r.row for d in dialects.names() for r in dialects.load(d).roles.values() if r.op == op and op != "arrange"]
        for row in rows:
            if getattr(row, "overflow", "") == "refuse":        # any operands at all are drawn here, which such a row may refuse
                continue
            found.setdefault((op, row), Step(f"{op}.{sum(k[0] == op for k in found)}", op, row, {}, {}))
    return list(found.values())


def sized(step):
    """Sizes for the axes of a step's operands, odd ones and no multiples of a tile."""
    axes = dict.fromkeys(a for d in step.row.takes.values() for a in d.names)
    sizes = dict(zip(axes, (3, 5, 7, 2, 3, 5, 7)))
    if step.op in ("conv2d", "conv_transpose2d"):
        return {"n": 2, "h": 4, "w": 5, "c": 3, "m": 2, "kh": 3, "kw": 2, "d": 3}
    if step.op in STORED:
        return STORED[step.op]
    if hasattr(step.row, "shared"):         # blocks of numbers
        return {"n": 3, "c": 2 * step.row.shared, "b": 2}
    return sizes | {k: v for k, v in sizes_of(step.row).items() if k != "m"}
