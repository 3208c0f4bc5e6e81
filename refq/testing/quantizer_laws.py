"""Laws of a quantizer: each is a function of (quantize, dequantize, grid, x) that gives None, or a text of what it saw.

    quantize(x, grid) -> codes            x: float array of any shape; grid: what the codes are to mean (refq.grids)
    dequantize(codes, grid) -> reals      the way back

A law's docstring is its sentence. LAWS hold for every quantizer; CLAIMS are what one may promise beside. What is expected of one
element is what the grid itself, which decides exactly, makes of it; `x` has neither NaN nor infinities but where a law says so.
"""
import numpy as np

from refq.testing import places
from refq.testing.ties import ties

ROUNDINGS = 2
"""So many roundings of float32, each of the size of the grid's whole range, are forgiven where a law is about half a step."""


def shown(value):
    """A number as a message shows it."""
    return repr(value.item() if hasattr(value, "item") else value)


def first(wrong, x, **columns):
    """None where nothing is `wrong` (array of bool); else the first element that is, with what each column has there."""
    wrong = np.asarray(wrong)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    said = ", ".join(f"{name} {shown(np.broadcast_to(column, wrong.shape)[place])}" for name, column in columns.items())
    at = "x" + "".join(f"[{i}]" for i in place)
    more = int(wrong.sum()) - 1
    return f"{at} = {shown(np.asarray(x)[place])}: {said}" + (f" (and {more} more)" if more else "")


def codes_of(quantize, x, grid):
    """The codes as an int64 array."""
    return np.asarray(quantize(np.asarray(x), grid)).astype(np.int64)


def keeps_the_shape(quantize, dequantize, grid, x):
    """Codes have the shape of x, and reals that of the codes: arrays without elements and without axes too."""
    for shape in (x.shape, *places.shapes(grid)):
        part = np.resize(x, shape).astype(x.dtype) if x.size else np.zeros(shape, x.dtype)
        codes = quantize(part, grid)
        if np.shape(codes) != shape:
            return f"x of shape {shape} gives codes of shape {np.shape(codes)}"
        if np.shape(back := dequantize(codes, grid)) != shape:
            return f"codes of shape {shape} give reals of shape {np.shape(back)}"
    return None


def keeps_the_dtype(quantize, dequantize, grid, x):
    """Codes are of one integer dtype and reals of one float dtype, whatever the shape and the values."""
    codes = quantize(x, grid)
    kinds = {"codes": np.asarray(codes).dtype, "reals": np.asarray(dequantize(codes, grid)).dtype}
    if kinds["codes"].kind in "fcObMmSU":
        return f"codes are {kinds['codes']}, which is no integer"
    for shape in places.shapes(grid):
        codes = quantize(np.zeros(shape, x.dtype), grid)
        for name, made in (("codes", codes), ("reals", dequantize(codes, grid))):
            if np.asarray(made).dtype != kinds[name]:
                return f"{name} are {kinds[name]}, and {np.asarray(made).dtype} for zeros of shape {shape}"
    return None


def stays_in_range(quantize, dequantize, grid, x):
    """Every code is one that the grid has; infinities included."""
    codes = codes_of(quantize, x, grid)
    return first((codes < grid.lo) | (codes > grid.hi), x, code=codes, lowest=grid.lo, highest=grid.hi)


def leaves_its_input(quantize, dequantize, grid, x):
    """Neither x nor the codes are written to."""
    given = x.copy()
    codes = quantize(given, grid)
    if given.tobytes() != x.tobytes():
        return first(given != x, x, afterwards=given) or "the bits of x changed"
    held = np.array(codes, copy=True)
    dequantize(codes, grid)
    return first(np.asarray(codes) != held, x, code=held, afterwards=np.asarray(codes))


def is_deterministic(quantize, dequantize, grid, x):
    """Equal inputs give equal codes, whatever was asked between."""
    codes = np.array(quantize(x, grid), copy=True).astype(np.int64)
    quantize(np.asarray(x * 0 + x.dtype.type(1)), grid)
    again = codes_of(quantize, x, grid)
    return first(codes != again, x, code=codes, again=again)


def ignores_strides(quantize, dequantize, grid, x):
    """How x lies in memory does not matter: gaps, backwards, transposed."""
    codes = codes_of(quantize, np.ascontiguousarray(x).reshape(x.shape), grid)
    apart = np.full((*x.shape, 2), 77, x.dtype)
    apart[..., 0] = x
    backwards = np.ascontiguousarray(x[..., ::-1])[..., ::-1] if x.ndim else x
    for name, view in {"with gaps": apart[..., 0], "backwards": backwards, "in Fortran's order": np.asfortranarray(x)}.items():
        if told := first(codes != codes_of(quantize, view.reshape(x.shape) if x.ndim == 0 else view, grid), x, code=codes,
                         **{name.replace(" ", "_"): codes_of(quantize, view, grid)}):
            return told
    return None


def ignores_neighbours(quantize, dequantize, grid, x):
    """The code of an element depends neither on its place nor on the other elements."""
    axis = places.free_axis(grid, x.shape)
    if axis is None or not x.shape[axis]:
        return None
    codes, count = codes_of(quantize, x, grid), x.shape[axis]
    others = {"reversed": np.flip(x, axis).copy(), "in_a_longer_array": np.concatenate([x] * (67 // count + 1), axis)}
    for name, other in others.items():
        made = codes_of(quantize, other, grid)
        made = np.flip(made, axis) if name == "reversed" else made.take(range(made.shape[axis] - count, made.shape[axis]), axis)
        if told := first(codes != made, x, code=codes, **{name: made}):
            return told
    for i in sorted({0, count // 2, count - 1}):
        alone, here = codes_of(quantize, x.take([i], axis), grid), codes.take([i], axis)
        if told := first(here != alone, x.take([i], axis), code=here, alone=alone):
            return told
    return None


def takes_slices_alike(quantize, dequantize, grid, x):
    """A slice or block gets the codes that it gets alone, under a grid per tensor with its scale and zero point."""
    codes, member = codes_of(quantize, x, grid), places.cells(grid, x.shape)
    for number in range(member.max(initial=-1) + 1):
        if (member == number).any():
            alone = np.zeros_like(codes)
            alone[member == number] = codes_of(quantize, x[member == number], places.alone(grid, number))
            if told := first((codes != alone) & (member == number), x, code=codes, alone=alone):
                return f"slice {number}: {told}"
    return None


def keeps_order(quantize, dequantize, grid, x):
    """Of two reals at one place, the larger never gets the smaller level."""
    rising = np.sort(x, axis=None)
    low, high = rising.reshape(x.shape), np.append(rising[1:], rising[-1:]).reshape(x.shape)
    one, two = codes_of(quantize, low, grid), codes_of(quantize, high, grid)
    return first(grid.decode(one) > grid.decode(two), low, code=one, larger_x=high, its_code=two)


def is_idempotent(quantize, dequantize, grid, x):
    """Quantizing what was dequantized gives the same codes."""
    codes = codes_of(quantize, x, grid)
    back = np.asarray(dequantize(quantize(x, grid), grid)).astype(x.dtype)
    again = codes_of(quantize, back, grid)
    return first((codes != again) & np.isfinite(back) & np.isfinite(grid.decode(codes)), x, code=codes, back=back, then=again)


def ends(grid, shape):
    """The lowest and the highest level at each place of an array of `shape`, as float64."""
    most = 2.0 ** 1000
    return tuple(grid.decode(grid.encode(np.full(shape, sign * most))) for sign in (-1, 1))


def inside(grid, x):
    """Where x lies from the lowest to the highest level, both included."""
    low, high = ends(grid, x.shape)
    return (x >= low) & (x <= high)


def near(quantize, grid, x, slack):
    """Where inside the range the level is not one that reals at most `slack` beside x are rounded to."""
    codes, wide = codes_of(quantize, x, grid), x.astype(np.float64)
    low, high = (grid.decode(grid.encode(wide + d, word)) for d, word in ((-slack, "half_down"), (slack, "half_up")))
    mine, own = grid.decode(codes), grid.encode(wide)
    wrong = inside(grid, wide) & ((mine < np.minimum(low, high)) | (mine > np.maximum(low, high)))
    return first(wrong, x, code=codes, level=mine, nearest_code=own, nearest_level=grid.decode(own))


def stays_within_half_a_step(quantize, dequantize, grid, x):
    """Inside the range the level is the nearest one, or what few float32 roundings make of it."""
    low, high = ends(grid, x.shape)
    return near(quantize, grid, x, ROUNDINGS * 2.0 ** -23 * (np.minimum(high, 1e300) - np.maximum(low, -1e300)))


def takes_the_nearest_level(quantize, dequantize, grid, x):
    """Inside the range the level is the nearest one, decided exactly; at a tie either of the two."""
    return near(quantize, grid, x, np.zeros(x.shape))


def saturates(quantize, dequantize, grid, x):
    """Beyond the range reals get the code of the end that they lie behind; infinities and the largest floats too."""
    codes, wide = codes_of(quantize, x, grid), x.astype(np.float64)
    low, high = ends(grid, x.shape)
    own = grid.encode(wide).astype(np.int64)
    beyond = ((wide < low) | (wide > high)) & np.isfinite(grid.decode(own))
    return first(beyond & (grid.decode(codes) != grid.decode(own)), x, code=codes, code_of_the_end=own)


def keeps_zero(quantize, dequantize, grid, x):
    """0 and -0 get a code that stands for 0 exactly, in the grid and in dequantize."""
    zeros = np.resize(np.array([0.0, -0.0], x.dtype), x.shape or (1,)).reshape(x.shape)
    made = quantize(zeros, grid)
    codes = np.asarray(made).astype(np.int64)
    return first(grid.decode(codes) != 0, zeros, code=codes, level=grid.decode(codes)) or \
        first(np.asarray(dequantize(made, grid)) != 0, zeros, code=codes, real=np.asarray(dequantize(made, grid)))


def has_zero(grid):
    return bool((np.asarray(grid.decode(grid.encode(np.zeros(places.shape(grid, 1))))) == 0).all())


def of_nan(quantize, grid, x):
    """(the codes of an array like x that is NaN everywhere, or None; the text of the exception, or None)."""
    try:
        return codes_of(quantize, np.full_like(x, np.nan), grid), None
    except Exception as error:          # whatever a quantizer raises is its refusal
        return None, f"{type(error).__name__}: {error}"


def defines_nan(quantize, dequantize, grid, x):
    """A NaN is refused, or it gets one code of the grid, whatever lies beside it."""
    codes, refused = of_nan(quantize, grid, x)
    if refused or not x.size:
        return None
    if told := first((codes < grid.lo) | (codes > grid.hi), np.full_like(x, np.nan), code=codes):
        return told
    mixed = x.copy()
    mixed.reshape(-1)[::2] = np.nan
    both = codes_of(quantize, mixed, grid)
    clean = codes_of(quantize, x, grid)
    return first(np.isnan(mixed) & (codes != both), mixed, code=both, among_NaN=codes) or \
        first(~np.isnan(mixed) & (clean != both), mixed, code=clean, beside_a_NaN=both)


def scales_by_powers_of_two(quantize, dequantize, grid, x):
    """Reals and scale times the same power of two give the same codes."""
    codes = codes_of(quantize, x, grid)
    for power in (1, -3):
        other = places.scaled(grid, power)
        with np.errstate(over="ignore", under="ignore"):
            moved = x * x.dtype.type(2.0 ** power)
        exact = (np.ldexp(moved.astype(np.float64), -power) == x) & (np.abs(x) > np.finfo(x.dtype).tiny * 64) | (x == 0)
        moved = np.where(exact & np.isfinite(moved), moved, x.dtype.type(0))
        made = codes_of(quantize, moved, other)
        if told := first(exact & np.isfinite(moved) & (codes != made) & ((moved != 0) | (x == 0)), x, code=codes,
                         **{f"times_2^{power}": made}):
            return told
    return None


def decodes_the_grid(quantize, dequantize, grid, x):
    """dequantize gives each code's level, rounded at most twice in its own dtype."""
    made = quantize(x, grid)
    codes, reals = np.asarray(made).astype(np.int64), np.asarray(dequantize(made, grid))
    level = grid.decode(codes)
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = ~(np.abs(reals.astype(np.float64) - level) <= 2 * np.spacing(np.abs(level).astype(reals.dtype)))
    return first(wrong & (reals != level) & np.isfinite(level), x, code=codes, real=reals, level=level)


def follows_one_tie_rule(quantize, dequantize, grid, x):
    """One rule decides all ties: a word of refq.ints.rounding."""
    found = ties(quantize, grid, x.dtype)
    return None if found.rules or not found.count else str(found)


def is_symmetric(quantize, dequantize, grid, x):
    """x and -x get opposite levels, where both lie in the range."""
    one, two = codes_of(quantize, x, grid), codes_of(quantize, -x, grid)
    both = inside(grid, x) & inside(grid, -x)
    return first(both & (grid.decode(one) != -grid.decode(two)), x, code=one, of_minus_x=two)


def refuses_nan(quantize, dequantize, grid, x):
    """A NaN raises an exception."""
    codes, refused = of_nan(quantize, grid, x)
    return None if refused or not x.size else first(np.ones(x.shape, bool), np.full_like(x, np.nan), code=codes)


def gives_nan_zero(quantize, dequantize, grid, x):
    """A NaN gets the code of 0."""
    codes, refused = of_nan(quantize, grid, x)
    return refused or first(codes != grid.encode(np.zeros(x.shape)), np.full_like(x, np.nan), code=codes)


LAWS = (keeps_the_shape, keeps_the_dtype, stays_in_range, leaves_its_input, is_deterministic, ignores_strides, ignores_neighbours,
        takes_slices_alike, keeps_order, is_idempotent, stays_within_half_a_step, saturates, keeps_zero, defines_nan,
        scales_by_powers_of_two, decodes_the_grid, follows_one_tie_rule)
CLAIMS = (takes_the_nearest_level, is_symmetric, refuses_nan, gives_nan_zero)
INFINITE = (stays_in_range, saturates)
"""Laws that are asked about infinities too."""
ONLY_WHERE = {takes_slices_alike: places.sliced, keeps_zero: has_zero,
              scales_by_powers_of_two: lambda grid: places.scaled(grid, 1) is not None and places.scaled(grid, -3) is not None}
"""Law to what says whether a grid has anything that it is about."""
