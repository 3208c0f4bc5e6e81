"""The ten roundings, on shifts and on integer divisions.

    name        ties                  -2.5  -1.5  -0.5   0.5   1.5   2.5
    floor       (no ties)               -3    -2    -1     0     1     2
    ceil        (no ties)               -2    -1     0     1     2     3
    trunc       (no ties)               -2    -1     0     0     1     2
    away        (no ties)               -3    -2    -1     1     2     3
    half_up     toward +inf             -2    -1     0     1     2     3
    half_down   toward -inf             -3    -2    -1     0     1     2
    half_away   away from zero          -3    -2    -1     1     2     3
    half_zero   toward zero             -2    -1     0     0     1     2
    half_even   to the even neighbour   -2    -2     0     0     2     2
    odd         (not exact: to odd)     -3    -1    -1     1     1     3

What other projects call them is in rounding_names.py.

`word(name)(x, s)` is x / 2**s for 0 <= s <= 63; `divide(name)(x, d)` is x / d for d > 0, |x| and d below 2**63. Each
serves Python integers, NumPy int64 arrays and jitted kernels from the one text below, and is right at both rails.
"""
from refq.errors import IllFormed
from refq.ints.jit import word as jitted


@jitted
def floor(x, s):
    return x >> s


@jitted
def ceil(x, s):
    return (x >> s) + (((x >> s) << s) != x)


@jitted
def trunc(x, s):
    return (x >> s) + ((((x >> s) << s) != x) & (x < 0))


@jitted
def away(x, s):
    return (x >> s) + ((((x >> s) << s) != x) & (x >= 0))


# A tie rule sees three facts: the floor q, the half bit h, and t: is anything left below the half bit? The top bit that
# `x << 1` loses is never looked at, and s = 0 needs no branch: at 64 bits as at 8.

@jitted
def half_up(x, s):
    return (x >> s) + (((x << 1) >> s) & 1)


@jitted
def half_down(x, s):
    d = x << 1
    return (x >> s) + ((d >> s) & 1 & (((d >> s) << s) != d))


@jitted
def half_away(x, s):
    d = x << 1
    return (x >> s) + ((d >> s) & 1 & ((((d >> s) << s) != d) | (x >= 0)))


@jitted
def half_zero(x, s):
    d = x << 1
    return (x >> s) + ((d >> s) & 1 & ((((d >> s) << s) != d) | (x < 0)))


@jitted
def half_even(x, s):
    d, q = x << 1, x >> s
    return q + ((d >> s) & 1 & ((((d >> s) << s) != d) | (q & 1)))


@jitted
def odd(x, s):
    d = x << 1
    return (x >> s) | (((d >> s) & 1) | (((d >> s) << s) != d))


# On divisions: q floors, r is what is left (0 <= r < d), and r is compared with d - r, since 2*r may not fit.

@jitted
def floor_by(x, d):
    return x // d


@jitted
def ceil_by(x, d):
    q = x // d
    return q + (q * d != x)


@jitted
def trunc_by(x, d):
    q = x // d
    return q + ((q * d != x) & (x < 0))


@jitted
def away_by(x, d):
    q = x // d
    return q + ((q * d != x) & (x >= 0))


@jitted
def half_up_by(x, d):
    q = x // d
    r = x - q * d
    return q + (r >= d - r)


@jitted
def half_down_by(x, d):
    q = x // d
    r = x - q * d
    return q + (r > d - r)


@jitted
def half_away_by(x, d):
    q = x // d
    r = x - q * d
    return q + ((r > d - r) | ((r == d - r) & (x >= 0)))


@jitted
def half_zero_by(x, d):
    q = x // d
    r = x - q * d
    return q + ((r > d - r) | ((r == d - r) & (x < 0)))


@jitted
def half_even_by(x, d):
    q = x // d
    r = x - q * d
    return q + ((r > d - r) | ((r == d - r) & ((q & 1) == 1)))


@jitted
def odd_by(x, d):
    q = x // d
    return q | (q * d != x)


shifts = {f.__name__: f for f in (floor, ceil, trunc, away, half_up, half_down, half_away, half_zero, half_even, odd)}
divisions = {f.__name__.removesuffix("_by"): f for f in (
    floor_by, ceil_by, trunc_by, away_by, half_up_by, half_down_by, half_away_by, half_zero_by, half_even_by, odd_by)}
names = tuple(shifts)


def word(name):
    """The rounding of that name on a shift."""
    if name not in shifts:
        raise IllFormed(f"a rounding named {name!r}; there are {', '.join(names)}")
    return shifts[name]


def divide(name):
    """The rounding of that name on a division."""
    word(name)
    return divisions[name]
