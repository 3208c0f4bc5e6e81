"""arrange: moves codes and changes none: reshape, transpose, slice, gather, repeat, pad, concat.

    y = moves(x0, x1, ...)

A move is a tuple; shapes and axes are those of one image, the batch axis is not counted:
    ("concat", axis)                      the operands x0, x1, ... joined along an axis; the first move, if at all
    ("reshape", (sizes...))               the same codes in the same order, last axis fastest
    ("transpose", (axes...))              axis j of the result is axis axes[j]
    ("slice", axis, start, stop, step)    start, start + step, ... before stop; 0 <= start, step >= 1
    ("gather", axis, (indices...))        places along an axis, each 0 or more, in any order and as often as wanted
    ("repeat", axis, count)               each place along an axis so many times in a row
    ("pad", ((before, after), ...))       places around, for every axis; they read the operand `zero`

units    y counts what x0 counts: all operands lie on one grid
R1       every code of y is a code of an operand, or `zero` where a pad put it
R2       moves act one after the other, and in each image alike
error    exact
source   ONNX Reshape, Transpose, Slice, Gather, Expand, Pad, Concat
"""
from dataclasses import dataclass, replace
from functools import cache
from math import prod

import numpy as np

from refq.errors import IllFormed
from refq.ints.places import origins
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost, named, previous_case, transposed
from refq.ints.width import I8, Width
from refq.machine.moves import frozen, split, trail, views


@dataclass(frozen=True)
class Row(Base):
    width: Width = decided(I8)
    shapes: tuple = decided(((1,),))
    moves: tuple = decided(())

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "shapes", frozen(self.shapes))
        object.__setattr__(self, "moves", frozen(self.moves))
        trail(self.shapes, self.moves)

    @property
    def shape(self):
        """The shape of y for one image."""
        return trail(self.shapes, self.moves)[-1]

    @property
    def takes(self):
        operands = {f"x{i}": self.width(" ".join(["n", *(f"[x{i}{axis}]" for axis in letters(shape))]))
                    for i, shape in enumerate(self.shapes)}
        return operands | ({"zero": self.width()} if any(m[0] == "pad" for m in self.moves) else {})

    @property
    def gives(self):
        return {"y": self.width(" ".join(["n", *(f"y{axis}" for axis in letters(self.shape))]))}

    def sizes(self, found):
        for i, shape in enumerate(self.shapes):
            if (given := tuple(found[f"x{i}{axis}"] for axis in letters(shape))) != shape:
                raise IllFormed(f"arrange: x{i} is {given}, and the row moves {shape}")
        return {f"y{axis}": size for axis, size in zip(letters(self.shape), self.shape)}


def letters(shape):
    """Names of axes."""
    return [chr(ord("a") + i) for i in range(len(shape))]


def build(row, zero):
    """The constants of a step: `zero`, the zero point, where something is padded."""
    return {"zero": zero} if "zero" in row.takes else {}


def spec(*operands, row, at=unwatched):
    arrays, zero = operands[:len(row.shapes)], operands[-1]
    joined, chain = split(row.moves)
    *shapes, final = trail(row.shapes, row.moves)[-len(chain) - 1:]
    places, padded = origins(chain, shapes, final)                                            # R2
    y, first = np.full((len(arrays[0]), *final), zero if padded.any() else 0, np.int64), 0
    for array in arrays:                                                                      # R1
        mine, here = ~padded, list(places)
        if len(arrays) > 1:
            here[joined] = places[joined] - first
            mine = mine & (here[joined] >= 0) & (here[joined] < array.shape[1 + joined])
            first += array.shape[1 + joined]
        flat = np.zeros(final, np.int64)
        for place, size in zip(here, array.shape[1:]):
            flat = flat * size + place
        y[:, mine] = array.reshape(len(y), prod(array.shape[1:]))[:, flat[mine]]
    return y


@cache
def kernel(row):
    (joined, chain), several = split(row.moves), len(row.shapes)
    def arrange(*operands):
        *operands, y = operands
        x = np.concatenate(operands[:several], joined + 1) if several > 1 else operands[0]
        for move in chain:                                                                    # R2
            x = views[move[0]](x, operands[-1], *move[1:])
        y[...] = x                                                                            # R1

    return arrange


def real(*operands, row):
    """The same moves of real numbers; `zero` is then 0."""
    y = np.empty((len(operands[0]), *row.shape))
    kernel(row)(*operands, y)
    return y


def mistaken(name, kind, alter):
    """The first move of that kind is done wrong; its codes are then read in the order in which they lie."""
    def slip(run, operands, row):
        place = next((i for i, move in enumerate(row.moves) if move[0] == kind), None)
        if place is None:
            return run(operands)
        wrong = (alter(*row.moves[place][1:]), ("reshape", trail(row.shapes, row.moves)[place + 1]))
        try:
            return run(operands, row=replace(row, moves=row.moves[:place] + wrong + row.moves[place + 1:]))
        except IllFormed:
            return run(operands)
    return named(slip, name)


def padded_with_zero(run, operands, row):
    """The padding is the code 0 where it should be the zero point."""
    return run({**operands, "zero": 0}) if "zero" in operands else run(operands)


slips = (mistaken("transpose_inverted", "transpose", lambda axes: ("transpose", tuple(map(axes.index, sorted(axes))))),
         mistaken("transpose_forgotten", "transpose", lambda axes: ("transpose", tuple(sorted(axes)))),
         mistaken("slice_late", "slice", lambda axis, first, stop, by: ("slice", axis, first + 1, stop + 1, by)),
         mistaken("gather_early", "gather", lambda axis, at: ("gather", axis, tuple(max(i - 1, 0) for i in at))),
         mistaken("pad_swapped", "pad", lambda widths: ("pad", tuple(pair[::-1] for pair in widths))),
         padded_with_zero, transposed("y"), channels_shifted("y", 1), previous_case("x0"), last_tile_lost("y", 2))


def r1_no_code_is_new(*operands, row):
    return np.isin(spec(*operands, row=row), np.concatenate([np.ravel(codes) for codes in operands]))


def r2_images_do_not_meet(*operands, row):
    turned = [codes[::-1] if np.ndim(codes) else codes for codes in operands]
    return spec(*turned, row=row)[::-1] == spec(*operands, row=row)


def r2_moves_act_one_after_the_other(*operands, row):
    """The first move alone, and then the rest on what it gives."""
    first = replace(row, moves=row.moves[:1])
    rest = replace(row, shapes=(first.shape,), moves=row.moves[1:])
    zero = [operands[-1]] if "zero" in row.takes else []
    return spec(spec(*operands, row=first), *zero, row=rest) == spec(*operands, row=row)
