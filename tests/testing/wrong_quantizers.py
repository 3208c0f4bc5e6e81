"""Quantizers that make one mistake each, and the law that names it; `right` is the one that they all begin with."""
import numpy as np

from refq.testing import places


def over(grid, x):
    return places.affine(grid).over(np.shape(x))


def right(x, grid):
    scale, zero = over(grid, x)
    with np.errstate(all="ignore"):
        return np.clip(np.rint(x / scale.astype(np.float32)) + zero, grid.lo, grid.hi).astype(grid.width.dtype)


def back(codes, grid):
    scale, zero = over(grid, codes)
    return ((np.asarray(codes).astype(np.int32) - zero) * scale).astype(np.float32)


def single(x, grid):
    """x / scale in float32, and the zero point."""
    scale, zero = over(grid, x)
    with np.errstate(over="ignore"):
        return x / scale.astype(np.float32), zero


def stored(y, grid):
    with np.errstate(invalid="ignore"):
        return np.clip(y, grid.lo, grid.hi).astype(grid.width.dtype)


def fakes_in_half(x, grid):
    """A fake quantizer that computes in float16, so that its results are no levels."""
    scale, zero = (v.astype(np.float16) for v in over(grid, x))
    with np.errstate(all="ignore"):
        return ((np.clip(np.rint(x.astype(np.float16) / scale) + zero, grid.lo, grid.hi) - zero) * scale).astype(np.float32)


def to_code(which, x, grid):
    return np.full(np.shape(x), grid.hi if which == "highest" else grid.lo, grid.width.dtype)


ANOTHER_NAME = (lambda: lambda x, grid: right(x, grid))()


def truncates(x, grid):
    y, zero = single(x, grid)
    return stored(np.trunc(y) + zero, grid)


def floors(x, grid):
    y, zero = single(x, grid)
    return stored(np.floor(y) + zero, grid)


def ties_by_sign_of_the_code(x, grid):
    """Half up below zero, half to even above: no rule of the ten."""
    y, zero = single(x, grid)
    return stored(np.where(y < 0, np.floor(y + np.float32(0.5)), np.rint(y)) + zero, grid)


def zero_point_before_rounding_down(x, grid):
    """The zero point is subtracted instead of added."""
    y, zero = single(x, grid)
    return stored(np.rint(y) - zero, grid)


def wraps(x, grid):
    y, zero = single(x, grid)
    return (np.clip(np.rint(y), -2**40, 2**40).astype(np.int64) + zero).astype(grid.width.dtype)


def does_not_saturate(x, grid):
    y, zero = single(x, grid)
    return (np.clip(np.rint(y), -2**20, 2**20) + zero).astype(np.int32)


def converts_far_to_the_lowest(x, grid):
    """Beyond 32 bits the conversion gives the lowest int32, as on x86."""
    y, zero = single(x, grid)
    y = np.rint(y)
    return stored(np.where(np.abs(y) >= 2**31, -2**31, y) + zero, grid)


def infinity_is_nothing(x, grid):
    return right(np.where(np.isinf(x), np.float32(0), x), grid)


def highest_code_never_used(x, grid):
    return np.minimum(right(x, grid), grid.hi - 1)


def one_beyond_the_lowest(x, grid):
    codes = right(x, grid).astype(np.int16)
    return np.where(codes == grid.lo, grid.lo - 1, codes)


def nan_is_what_memory_holds(x, grid):
    """A NaN gets the code of whatever is beside it."""
    y = np.where(np.isnan(x), np.resize(np.roll(x, 1), x.shape), x) if x.size else x
    return right(np.where(np.isnan(y), np.float32(1), y), grid)


def wrong_axis(x, grid):
    """A grid along the last axis is taken along the first one, where that is as long."""
    if grid.axis is None or x.ndim < 2 or x.shape[0] != x.shape[grid.axis]:
        return right(x, grid)
    return np.swapaxes(right(np.swapaxes(x, 0, grid.axis), grid), 0, grid.axis)


def first_scale_for_all(x, grid):
    scale, zero = over(grid, x)
    y = x / np.float32(np.ravel(places.affine(grid).scale)[0])
    return stored(np.rint(y) + zero, grid)


def reciprocal(x, grid):
    scale, zero = over(grid, x)
    with np.errstate(over="ignore"):
        return stored(np.rint(x * (np.float32(1) / scale.astype(np.float32))) + zero, grid)


def mutates(x, grid):
    codes = right(x, grid)
    x[...] = np.clip(x, *(float(v) for v in np.sort([-1e3, 1e3])))
    return codes


def reads_memory_in_order(x, grid):
    """As if every array were contiguous: the buffer from the first element on."""
    base = x
    while isinstance(base.base, np.ndarray):
        base = base.base
    flat = np.ascontiguousarray(base).ravel()
    return right(np.resize(flat, x.shape) if flat.size and base is not x else x, grid)


calls = [0]


def depends_on_calls(x, grid):
    calls[0] += 1
    codes = right(x, grid)
    return codes if calls[0] % 7 else np.where(codes < grid.hi, codes + 1, codes)


def narrows_small_arrays(x, grid):
    codes = right(x, grid)
    return codes if x.size else codes.astype(np.int64)


def gives_floats(x, grid):
    return right(x, grid).astype(np.float32)


def drops_axes(x, grid):
    return right(x, grid) if x.ndim else right(x, grid).reshape(1)


def fails_when_empty(x, grid):
    return right(x, grid) if x.max() < np.inf else right(x, grid)


def vectors_differ_from_tails(x, grid):
    """Half away in blocks of eight, half to even in what is left."""
    y, zero = single(x, grid)
    y = y.astype(np.float64)
    away = np.copysign(np.floor(np.abs(y) + 0.5), y).ravel()
    body = away.size // 8 * 8
    rounded = np.concatenate([away[:body], np.rint(y).ravel()[body:]])
    return stored(rounded.reshape(x.shape) + zero, grid)


def flushes_its_scale(x, grid):
    """The scale is kept in float16, whose small numbers lose digits."""
    scale, zero = over(grid, x)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return stored(np.nan_to_num(np.rint(x / scale.astype(np.float16).astype(np.float32))) + zero, grid)


def adds_an_epsilon(x, grid):
    """x / (scale + 1e-4): nearly right on one scale."""
    scale, zero = over(grid, x)
    with np.errstate(over="ignore"):
        return stored(np.rint(x / (scale + 1e-4).astype(np.float32)) + zero, grid)


def zero_is_rounded_off(x, grid):
    """A quarter of a step joins, as where the zero point is a real number."""
    y, zero = single(x, grid)
    return stored(np.rint(y + np.float32(0.75)) + zero, grid)


def steps_back(x, grid):
    """Code 5 and code 6 change places."""
    codes = right(x, grid)
    return np.where(codes == 5, 6, np.where(codes == 6, 5, codes)).astype(codes.dtype)


def scale_of_the_largest(x, grid):
    """A scale of its own: dynamic quantization where a static one was asked for."""
    most = np.abs(np.where(np.isfinite(x), x, 0)).max(initial=0)
    with np.errstate(over="ignore", invalid="ignore"):
        return stored(np.rint(np.nan_to_num(x / np.float32(most / grid.hi if most else 1))) + over(grid, x)[1], grid)


def back_without_zero_point(codes, grid):
    return (np.asarray(codes).astype(np.int32) * over(grid, codes)[0]).astype(np.float32)


def back_in_bits(codes, grid):
    """Differences are taken in the codes' own dtype, and wrap."""
    scale, zero = over(grid, codes)
    return ((np.asarray(codes) - zero.astype(grid.width.dtype)) * scale).astype(np.float32)


WRONG = {
    truncates: "stays_within_half_a_step", floors: "stays_within_half_a_step", ties_by_sign_of_the_code: "follows_one_tie_rule",
    zero_point_before_rounding_down: "keeps_zero", wraps: "saturates", does_not_saturate: "stays_in_range",
    converts_far_to_the_lowest: "saturates", infinity_is_nothing: "saturates", highest_code_never_used: "saturates",
    one_beyond_the_lowest: "stays_in_range", nan_is_what_memory_holds: "defines_nan", wrong_axis: "takes_slices_alike",
    first_scale_for_all: "takes_slices_alike", mutates: "leaves_its_input", reads_memory_in_order: "ignores_strides",
    depends_on_calls: "is_deterministic", narrows_small_arrays: "keeps_the_dtype", gives_floats: "keeps_the_dtype",
    drops_axes: "keeps_the_shape", fails_when_empty: "keeps_the_shape", vectors_differ_from_tails: "ignores_neighbours",
    flushes_its_scale: "stays_within_half_a_step", adds_an_epsilon: "scales_by_powers_of_two", zero_is_rounded_off: "keeps_zero",
    steps_back: "keeps_order", scale_of_the_largest: "ignores_neighbours",
}
"""Quantizer to the law that must name its mistake."""
WRONG_WAYS_BACK = {back_without_zero_point: "decodes_the_grid", back_in_bits: "is_idempotent"}
CLAIMED = {reciprocal: "takes_the_nearest_level", ties_by_sign_of_the_code: "is_symmetric",
           nan_is_what_memory_holds: "refuses_nan"}
"""Quantizer to a claim of it that is false."""
