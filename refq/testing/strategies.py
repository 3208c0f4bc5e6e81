"""Hypothesis strategies: arrays of reals that hit what is hard about a grid, and grids of every kind.

    from hypothesis import given
    from refq.testing.strategies import grids, tensors

    @given(st.data())
    def test_mine(data):
        grid = data.draw(grids())
        x = data.draw(tensors(grid))

Values shrink towards 0, then codes, then middles, then odd floats; arrays towards one element.
"""
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refq import grids as kinds
from refq.grids.affine import Affine
from refq.ints.width import Width
from refq.testing import places

SPECIAL = (np.inf, -np.inf, np.nan)


def dimensions(grid):
    """Shapes of arrays that the grid takes."""
    few = st.integers(0, 4)
    if not places.sliced(grid):
        return st.one_of(st.integers(1, 24).map(lambda n: (n,)), st.tuples(few, few), st.tuples(few, few, few), st.just(()))
    laid, whole = places.layout(grid), places.shape(grid, 1)
    if laid.block is not None:
        cut = st.just(0) if laid.whole else st.integers(0, laid.block - 1)
        return cut.map(lambda n: tuple(size - n * (i == laid.axis) for i, size in enumerate(whole)))
    (size,), others = laid.counts, st.lists(st.integers(0, 5), max_size=2)
    if laid.axis < 0:
        return others.map(lambda before: (*before, size, *(2,) * (-1 - laid.axis)))
    return others.map(lambda behind: (*(2,) * laid.axis, size, *behind))


@st.composite
def tensors(draw, grid, dtype=np.float32, special=()):
    """Arrays of `dtype` (float16, float32 or float64) of shapes that `grid` takes: codes, ties, the next floats beside them, the
    rails, zeros, subnormals, far out; now and then one constant for each slice, or one outlier among zeros. `special`: further
    values that may occur, such as infinities (see SPECIAL)."""
    pool = places.places(grid, dtype)
    if len(special):
        extra = np.resize(np.array(special, dtype), (len(pool), len(special)))
        pool = np.concatenate([pool, extra], axis=1)
    shape = draw(dimensions(grid))
    member, style = places.cells(grid, shape), draw(st.sampled_from(("each", "constant", "outlier")))
    index = st.integers(0, pool.shape[1] - 1)
    if style == "constant":
        chosen = np.array(draw(st.lists(index, min_size=len(pool), max_size=len(pool))), np.int64)[member]
    elif style == "outlier" and member.size:
        chosen = np.zeros(shape, np.int64)
        chosen.reshape(-1)[draw(st.integers(0, member.size - 1))] = draw(index)
    else:
        chosen = draw(arrays(np.int64, shape, elements=index, fill=st.nothing()))
    return np.ascontiguousarray(pool[member, chosen]).reshape(shape)


widths = st.builds(Width, st.integers(2, 8), st.booleans())
scales = st.one_of(st.integers(-20, 8).map(lambda e: 2.0 ** e), st.floats(2.0 ** -20, 2.0 ** 8, width=32))


@st.composite
def affine(draw, widths=widths, slices=("tensor", "axis", "block")):
    """Affine grids per tensor, along an axis, in blocks: zero points in the middle, at the rails, anywhere; powers of two and
    other float32 as scales."""
    width, layout = draw(widths), draw(st.sampled_from(slices))
    one, two = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    count = {"tensor": (), "axis": (one,), "block": (two, one)}[layout]
    size = int(np.prod(count))
    scale = np.array(draw(st.lists(scales, min_size=size, max_size=size))).reshape(count)
    zeros = st.one_of(st.just(0 if width.signed else 1 << width.bits - 1), st.sampled_from((width.lo + 1, width.hi)),
                      st.integers(width.lo + 1, width.hi))
    zero = np.array(draw(st.lists(zeros, min_size=size, max_size=size)), np.int64).reshape(count)
    axis = {"tensor": None, "axis": draw(st.sampled_from((-1, 0, 1))), "block": 1}[layout]
    return Affine(width, scale, zero, axis, draw(st.integers(1, 4)) if layout == "block" else None, draw(st.booleans()))


def of_kind(kind):
    """Grids of one kind of refq.grids: by its module's `examples()` where it has that, by CASES below, else of its defaults."""
    return CASES[kind]() if kind in CASES else st.just(default(kind))


def default(kind):
    """A grid of a kind as its class makes it without arguments."""
    module = kinds.load(kind)
    (made,) = [c for c in vars(module).values() if isinstance(c, type) and getattr(c, "kind", None) == kind
               and c.__module__ == module.__name__]
    return made()


def power_of_two():
    from refq.grids.power_of_two import PowerOfTwo
    exponents = st.integers(-20, 8)
    lists = st.lists(exponents, min_size=1, max_size=4)
    along = st.builds(lambda width, some, axis: PowerOfTwo(width, some, axis=axis), widths, lists, st.sampled_from((-1, 0)))
    return st.one_of(st.builds(PowerOfTwo, widths, exponents), along)


def powers(kind, **fields):
    """Grids of a logarithmic kind: 2 to 6 bits, with and without a code for 0."""
    module = kinds.load(kind)
    made = next(c for c in vars(module).values() if isinstance(c, type) and getattr(c, "kind", None) == kind
                and c.__module__ == module.__name__)
    width = st.integers(2, 6).map(lambda bits: Width(bits, False))
    return st.builds(made, width, st.sampled_from(("power", "zero")), st.none(), **fields)


def rounded():
    from refq.grids.rounded import Rounded
    words = st.sampled_from(("half_even", "half_away", "half_up", "half_zero"))
    return st.builds(lambda grid, ties: Rounded(grid.width, grid.scale, grid.zero, ties=ties), affine(slices=("tensor",)), words)


def channel_factors():
    from refq.grids.channel_factors import ChannelFactors
    return st.builds(ChannelFactors, widths, scales, st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple))


def twin():
    from refq.grids.twin import Twin
    return st.builds(Twin, st.builds(Width, st.integers(3, 8), st.booleans()), st.integers(0, 9), scales)


def minifloats():
    from refq.grids.minifloat import Minifloat
    from refq.ints.minifloat import formats
    names, lists = st.sampled_from(tuple(formats)), st.lists(scales, min_size=1, max_size=3)
    return st.one_of(st.builds(Minifloat, names, scales), st.builds(Minifloat, names, lists, st.sampled_from((-1, 0))))


@st.composite
def block_scaled(draw):
    from refq.grids.block_scaled import BlockScaled
    from refq.ints import blocks
    rule = draw(st.sampled_from(tuple(blocks.RULES)))
    codes = {"tensor": st.integers(0x20, 0x50), **dict.fromkeys(blocks.POWERS, st.integers(117, 137))}
    some = st.lists(codes.get(rule, st.integers(0x3000, 0x4000)), min_size=1, max_size=3)
    element, tensor = draw(st.sampled_from(tuple(blocks.FITS[rule]))), draw(scales) if rule == "tensor" else 1.0
    return BlockScaled(rule, element, np.array(draw(some)), draw(st.integers(1, 32)), tensor)


CASES = {
    "affine": affine, "rounded": rounded, "power_of_two": power_of_two, "channel_factors": channel_factors, "twin": twin,
    "minifloat": minifloats, "block_scaled": block_scaled,
    "log2": lambda: powers("log2", switch=st.sampled_from(("geometric", "inverse")), first=scales),
    "log_sqrt2": lambda: powers("log_sqrt2", first=scales),
    "adalog": lambda: powers("adalog", q=st.integers(10, 60), unit=scales),
}
"""Kind to a function that gives a strategy."""


def grids(*names):
    """Grids of these kinds (names of refq.grids.kinds(), default all)."""
    return st.sampled_from(names or kinds.kinds()).flatmap(of_kind)


@st.composite
def operands(draw, operation, row):
    """Operands of an operation (a name of refq.ops) under a row, as a dict: constructed ones, cut to short and odd sizes; of a
    sum of products also such as fill its accumulator or cancel in it (see operand_sets.products)."""
    from refq.testing import operand_sets
    index = st.integers(0, operand_sets.CONFIGURATIONS - 1)
    made = draw(index.map(lambda i: operand_sets.attempted(operation, row, i)).filter(bool))
    for axis, most in operand_sets.axes(row, made).items():
        made = operand_sets.cut(made, row, axis, min(most, draw(st.sampled_from((*operand_sets.CUTS[1:], 1 << 20, 0)))))
    if draw(st.booleans()):
        made = operand_sets.products(made, row, draw(st.sampled_from(tuple(operand_sets.PATTERNS))), draw(st.booleans()),
                                     draw(st.booleans()))
    assume(operand_sets.accepted(operation, row, made))
    return made
