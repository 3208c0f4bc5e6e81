"""Slips of products with sparse weights: stored codes that meet another column, are lost, or are corrected for as if all were
stored.

`places(operands, row)` gives (columns, codes), (m e): of every stored code the column of x that it meets, and its value.
"""
import numpy as np

from refq.ints.slips import bias_dropped, channels_shifted, dropped, named, negated, not_cleared, transposed
from refq.ints.sparse import full


def relocated(places, text, change):
    """A slip after which codes stand as `change(columns, codes, operands, row)` says, whose docstring it has; column -1 drops a
    code."""
    def slip(run, operands, row):
        columns, codes = places(operands, row)
        k, zw = operands["x"].shape[1], operands["zw"]
        lack = full(*change(columns.copy(), codes.copy(), operands, row), zw, k) - full(columns, codes, zw, k)
        return added(run(operands), row, (operands["x"].astype(np.int64) - operands["zx"]) @ lack.T)
    slip.__doc__ = change.__doc__
    return named(slip, text)


def added(results, row, more):
    """The accumulator with something more in it; it wraps."""
    acc = row.gives["acc"].width
    return {"acc": acc.wrap(results["acc"].astype(np.int64) + more).astype(acc.dtype)}


def exchanged(places):
    """Stored codes 2e and 2e + 1 of a row meet each other's column."""
    def change(columns, codes, operands, row):
        even = columns.shape[1] // 2 * 2
        turned = np.arange(even).reshape(-1, 2)[:, ::-1].reshape(-1)
        columns[:, :even] = columns[:, turned]
        return columns, codes
    return relocated(places, "places_exchanged", change)


def every_other_lost(places):
    """Of two stored codes the second adds nothing."""
    def change(columns, codes, operands, row):
        columns[:, 1::2] = -1
        return columns, codes
    return relocated(places, "second_lost", change)


def tail_of_stored_lost(places, t):
    """A loop in steps of t over the stored codes of a row forgets what is left at its end."""
    def change(columns, codes, operands, row):
        there = (columns >= 0) & (columns < operands["x"].shape[1])
        last = np.where(there, np.arange(columns.shape[1]) + 1, 0).max(1, initial=0)
        columns[np.arange(columns.shape[1]) >= (last // t * t)[:, None]] = -1
        return columns, codes
    return relocated(places, f"tail_of_stored_lost({t})", change)


def places_of_next_row(places):
    """Codes of a row stand where those of the next row do; the last row's stand where the first's do."""
    return relocated(places, "places_of_next_row", lambda columns, codes, operands, row: (np.roll(columns, -1, 0), codes))


def left_out_are_code_0(places):
    """What is not stored is taken for the code 0, not for the zero point: zw * (x - zx) is missing for each."""
    def slip(run, operands, row):
        columns, codes = places(operands, row)
        k, zw = operands["x"].shape[1], operands["zw"].astype(np.int64)
        stored = full(columns, codes * 0 + 1, 0 * zw, k) > 0
        x = operands["x"].astype(np.int64) - operands["zx"]
        return added(run(operands), row, x @ np.where(stored, 0, -zw[:, None]).T)
    return named(slip, "left_out_are_code_0")


def zero_points_of_all(places):
    """The product of both zero points is taken k times, not once for each stored code."""
    def slip(run, operands, row):
        columns, _ = places(operands, row)
        k = operands["x"].shape[1]
        left = k - ((columns >= 0) & (columns < k)).sum(1)
        return added(run(operands), row, operands["zx"] * operands["zw"].astype(np.int64) * left)
    return named(slip, "zero_points_of_all")


def all_codes_summed(places):
    """x's zero point is corrected by the sum of all codes of a row, those that are not stored included."""
    def slip(run, operands, row):
        columns, _ = places(operands, row)
        k = operands["x"].shape[1]
        left = k - ((columns >= 0) & (columns < k)).sum(1)
        return added(run(operands), row, -operands["zx"] * operands["zw"].astype(np.int64) * left)
    return named(slip, "all_codes_summed")


def zero_point_not_corrected(places):
    """x's zero point is taken off by the sum of the stored codes, which was made without their own zero points."""
    def slip(run, operands, row):
        columns, _ = places(operands, row)
        stored = ((columns >= 0) & (columns < operands["x"].shape[1])).sum(1)
        return added(run(operands), row, -operands["zx"] * operands["zw"].astype(np.int64) * stored)
    return named(slip, "sums_without_their_zero_points")


def told(maker, *given):
    """The slip that `maker` makes, with its sentence."""
    slip = maker(*given)
    slip.__doc__ = maker.__doc__
    return slip


def common(places, tails):
    """The slips that all sparse products have; `tails`: steps of loops over what is stored of a row."""
    return (bias_dropped, negated("zx"), dropped("zw"), transposed("acc"), channels_shifted("acc", 1), not_cleared("acc", 1),
            *(told(maker, places) for maker in (exchanged, every_other_lost, places_of_next_row, left_out_are_code_0,
                                                zero_points_of_all, all_codes_summed, zero_point_not_corrected)),
            *(told(tail_of_stored_lost, places, t) for t in tails))
