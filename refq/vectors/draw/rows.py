"""Codes of a configuration's inputs, placed where mistakes show.

A register that is rescaled is put on ties, beside them, and beside the two ends of the result's range, channel by
channel; other codes are drawn in styles. `place` gives all of them in one case after another: (cases *shape).
"""
from math import ceil

import numpy as np

from refq.vectors.draw import (
    attention,
    formats,
    fqvit,
    halved,
    ibert,
    layouts,
    nonlinear,
    norms,
    packed,
    plain,
    reals,
    sparse,
    values,
)
from refq.vectors.draw.scales import BEHIND_53_BITS

OWN = formats.PLACED | layouts.PLACED | packed.PLACED | sparse.PLACED
"""Operation to a function of (operand, row, shape, stream, index, constants): the codes of any of its operands."""
TARGETS = (0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.5, -3.5, 0, 1, -1)
"""Real results (in units of y, before the zero point) that a rounding is seen at."""


def place(op, row, shapes, stream, index, constants):
    """Operand to codes (cases *shape) of every operand with axis n; `shapes`: operand to (cases *shape)."""
    if op in norms.OPS:
        return {name: norms.placed(op, row, shape, stream.under("placed"), index, constants) for name, shape in shapes.items()}
    if op == "softmax_masked":
        return {name: attention.placed(name, row.takes[name], shape, stream.under(name), index, close_rows)
                for name, shape in shapes.items()}
    if op in OWN:
        return {name: OWN[op](name, row, shape, stream.under("placed"), index, constants) for name, shape in shapes.items()}
    fill = (PLACED | reals.PLACED | fqvit.PLACED | halved.PLACED | ibert.PLACED).get(op)
    if fill and (index % 4 != 3 or op in reals.PLACED):
        main = next(iter(shapes))
        codes = fill(row, shapes[main], stream.under("placed"), constants)
        if codes is not None:
            return {main: codes.astype(row.takes[main].width.dtype)}
    made = {name: SPECIAL.get(op, styled)(stream.under(name), row.takes[name], shape, index) for name, shape in shapes.items()}
    made = plain.legal(op, row, made, constants)
    if op == "mul" and index % 5:
        return close(row, made, stream.under("close"), constants)
    if op == "mul" and row.high == "none" and index % 10 == 5:
        return outermost(row, made, stream.under("outermost"), constants)
    return opposed(row, made, stream.under("opposed"), constants) if op in ("add", "add_float32", "add_weighted") else made


def styled(stream, declared, shape, index):
    return values.drawn(stream, declared, shape, values.STYLES[index % len(values.STYLES)])


def every_code(stream, declared, shape, index):
    """Each code in turn, in an order of its own; then styles."""
    if index % 2:
        return styled(stream, declared, shape, index // 2)
    codes = values.rising(stream, declared, (int(np.prod(shape)),))
    return np.ascontiguousarray(stream.shuffled(codes).reshape(shape), declared.width.dtype)


def opposed(row, made, stream, constants):
    """Some pairs of operands cancel each other, or nearly."""
    declared, a = row.takes["b"], made["a"].astype(np.int64)
    against = np.clip(constants["zb"] - (a - constants["za"]) + stream.integers(-1, 1, a.shape) // 2, declared.lo, declared.hi)
    chosen = stream.integers(0, 1, a.shape) == 1
    return made | {"b": np.where(chosen, against, made["b"]).astype(declared.width.dtype)}


def close(row, made, stream, constants):
    """Some second factors are small, so that products tie instead of saturating."""
    declared = row.takes["b"]
    small = np.clip(constants["zb"] + stream.integers(-5, 5, made["b"].shape), declared.lo, declared.hi)
    chosen = stream.integers(0, 3, made["b"].shape) < 3
    return made | {"b": np.where(chosen, small, made["b"]).astype(declared.width.dtype)}


def outermost(row, made, stream, constants):
    """Some pairs of factors are as far from their zero points as can be, so that products are the largest."""
    chosen = stream.integers(0, 2, made["a"].shape) == 0
    for name, zero in (("a", "za"), ("b", "zb")):
        declared = row.takes[name]
        far = declared.lo if constants[zero] - declared.lo > declared.hi - constants[zero] else declared.hi
        made = made | {name: np.where(chosen, far, made[name]).astype(declared.width.dtype)}
    return made


def rows_their_own(stream, declared, shape, index):
    """Each row along the last axis at an end of the range, or in a style."""
    if index % 3 == 1:
        return styled(stream, declared, shape, index)
    made = values.each_its_own(stream, declared, (int(np.prod(shape[:-1], dtype=int)), shape[-1]))
    made[stream.integer(0, 1)::3] = declared.hi
    made[stream.integer(1, 2)::4] = declared.lo
    return np.ascontiguousarray(made.reshape(shape), declared.width.dtype)


def sums_far_out(stream, declared, shape, index):
    """Codes (... r c) of which most channels are all at an end of the range, so that sums are large."""
    made = values.either(stream, declared, shape)
    ends = stream.integers(0, 3, (*shape[:-2], 1, shape[-1]))
    return np.ascontiguousarray(np.where(ends < 2, declared.hi, np.where(ends == 2, declared.lo, made)), declared.width.dtype)


def close_rows(stream, declared, shape, index):
    """Rows whose codes lie close together, far apart, alike or alone at an end: softmax, GELU and LayerNorm see each."""
    flat = (int(np.prod(shape[:-1], dtype=int)), shape[-1])
    made, span = np.empty(flat, np.int64), declared.hi - declared.lo
    for i in range(flat[0]):
        if (i + index) % 9 == 4:                            # as far from the mean as can be
            made[i] = np.where(stream.integers(0, 1, flat[1]), declared.hi, declared.lo)
            continue
        spread = (span, 2, 40, 0, span >> 2, 12, 5, span)[(i + index) % 8]
        top = declared.hi - stream.integer(0, max(span - spread, 0)) if (i + index) % 3 else declared.hi
        made[i] = stream.integers(max(top - spread, declared.lo), top, flat[1])
        if (i + index) % 8 == 0:
            made[i, stream.integer(0, flat[1] - 1)] = declared.hi
            made[i, stream.integer(0, flat[1] - 1)] = declared.lo
    return np.ascontiguousarray(made.reshape(shape), declared.width.dtype)


def repeated(stream, declared, shape, index):
    """Rows whose largest code occurs more than once, at either end, or first beyond a tile."""
    made = values.either(stream, declared, shape).reshape(-1, shape[-1])
    for i, row in enumerate(made):
        top = stream.integer(declared.lo, declared.hi)
        np.minimum(row, top, out=row)
        for at in ((0, -1), (-1,), (stream.integer(0, len(row) - 1), stream.integer(0, len(row) - 1)))[(i + index) % 3]:
            row[at] = top
    return np.ascontiguousarray(made.reshape(shape), declared.width.dtype)


CODES = ("dequantize", "requantize_float32", "add_ratio_float32", "mul", "add_weighted", "table", "clip", "add", "add_float32",
         "mul_float32", "arrange", "logistic_fixed", "logistic_table16", "leaky_relu", "hard_swish", "gelu_hard")
"""Operations on single codes."""

SPECIAL = {**dict.fromkeys(CODES, every_code),
           "table16": nonlinear.halfway,
           **dict.fromkeys((*nonlinear.ROWS, *fqvit.ROWS, "shiftmax", "shiftgelu", "ilayernorm"), close_rows),
           **dict.fromkeys(("argmax", "topk"), repeated),
           **dict.fromkeys(attention.PRODUCTS, rows_their_own), "recode": every_code,
           "batch_matmul": rows_their_own, "matmul": rows_their_own,
           "conv2d": rows_their_own,
           "mean": sums_far_out}


def before(target, scale):
    """The input that a scale takes to the real `target`, or a large one where it has none."""
    return 1 << 62 if not scale else int(min(max(ceil(target / scale), -(1 << 62)), 1 << 62))


def interesting(row, scale, step, zin, zp, stream):
    """Inputs of one channel: ties, ends of the result's range, and the register's own; `step`: the distance of ties, or 0."""
    edges = [row.out.lo - zp, row.out.hi - zp]
    targets = [*TARGETS, *(e + d for e in edges for d in (-1.5, -0.5, 0, 0.5, 1.5)), *(3 * e for e in edges)]
    found = [before(t, scale) + d for t in targets for d in (0, -1)]
    if step:
        found += [sign * odd * step for odd in (1, 3, 5, 7) for sign in (1, -1)] * 2
    declared = row.takes["acc"]
    found += [declared.lo - zin, declared.lo + 1 - zin, declared.hi - zin, 0, 1, -1]
    found += [sign * (1 << bits) - sign * less for bits in (15, 16, 23, 24, 25, 31, 46) for sign in (1, -1) for less in (0, 1)]
    inside = [zin + f for f in found if declared.lo <= zin + f <= declared.hi]
    return stream.shuffled(np.array(inside, np.int64))


def registers(row, shape, stream, constants, scales, steps):
    """Codes (cases *shape) of a register whose last axis is the channel."""
    declared, rows = row.takes["acc"], int(np.prod(shape[:-1], dtype=int))
    made = values.magnitudes(stream, declared, (rows, shape[-1]))
    for c in range(shape[-1]):
        some = interesting(row, scales[c], steps[c], constants["zin"], constants["zp"], stream)[:rows]
        made[:len(some), c] = some
        made[:, c] = stream.shuffled(made[:, c])
    return made.reshape(shape)


def before_rescale(row, shape, stream, constants):
    mult, shift = constants["mult"].astype(object), constants["shift"].astype(object)
    zeros = [(int(m) & -int(m)).bit_length() - 1 for m in mult]
    steps = [(1 << s - 1 - z) * (int(m) >> z) if m and s - 1 >= z else 0 for m, s, z in zip(mult, shift, zeros)]
    alone = [step // (int(m) >> z) if m else 0 for m, step, z in zip(mult, steps, zeros)]
    return registers(row, shape, stream, constants, [m / (1 << s) for m, s in zip(mult, shift)], alone)


def before_rescale_float32(row, shape, stream, constants):
    scales = constants["scale"].astype(np.float64)
    steps = [int(0.5 / s) if s and 0.5 / s < 2 ** 40 and (0.5 / s).is_integer() else 0 for s in scales.tolist()]
    return registers(row, shape, stream, constants, scales.tolist(), steps)


def before_rescale_float64(row, shape, stream, constants):
    """As before a rescale; where a multiplier has an accumulator that only 53 bits round to a tie, some are that one."""
    made = before_rescale(row, shape, stream, constants).reshape(-1, shape[-1])
    for c, pair in enumerate(zip(constants["mult"].tolist(), constants["shift"].tolist())):
        for acc, *known in BEHIND_53_BITS:
            if pair == tuple(known) and not constants["zin"]:
                made[c % 3::3, c] = acc * (1 - 2 * stream.integers(0, 1, len(made[c % 3::3])))
    return made.reshape(shape)


def before_rescale_preshift(row, shape, stream, constants):
    """Ties behind the product, and of the shift in front of it."""
    pre, mult, post = (constants[k].astype(object) for k in ("pre", "mult", "post"))
    zeros = [(int(m) & -int(m)).bit_length() - 1 for m in mult]
    alone = [1 << s - 1 - z + max(p, 0) if m and s - 1 >= z else 0 for p, m, s, z in zip(pre, mult, post, zeros)]
    made = registers(row, shape, stream, constants, [float(m) * 2.0 ** -(p + s) for p, m, s in zip(pre, mult, post)], alone)
    for c, p in enumerate(pre):
        if (mult[c], post[c]) == (2, 1) or post[c] == 32:   # see of_rescale_preshift
            made[..., c].flat[::3] = row.acc.lo
        if p > 0:
            tied = (made[..., c] >> p << p) + (1 << p - 1) + constants["zin"] + stream.integers(-1, 1, shape[:-1])
            made[..., c] = np.where(stream.integers(0, 2, shape[:-1]) == 0, row.acc.clip(tied), made[..., c])
    return made


def before_rescale_double(row, shape, stream, constants):
    return before_rescale(row, shape, stream, constants | {"mult": constants["mantissa"], "shift": constants["exponent"]})


PLACED = {"rescale_double": before_rescale_double, "rescale": before_rescale, "rescale_float32": before_rescale_float32,
          "rescale_float64": before_rescale_float64, "rescale_preshift": before_rescale_preshift}
