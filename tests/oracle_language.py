"""What rope, append and embed are meant to give, in Python integers and fractions, element by element."""
from fractions import Fraction

from tests import oracle


def rotated(x, positions, cos, sin, zero, pairing, fraction, ties, lo, hi):
    """x[image][head][token][depth] as nested lists, each pair of a head turned by the entries of its token's position."""
    def head(rows, places):
        return [token(depths, cos[p], sin[p]) for depths, p in zip(rows, places, strict=True)]

    def token(depths, c, s):
        y, pairs = [None] * len(depths), len(depths) // 2
        for j in range(pairs):
            a, b = (j, j + pairs) if pairing == "halves" else (2 * j, 2 * j + 1)
            u, v = depths[a] - zero, depths[b] - zero
            for place, value in ((a, u * c[j] - v * s[j]), (b, u * s[j] + v * c[j])):
                y[place] = min(max(oracle.roundings[ties](Fraction(value, 2 ** fraction)) + zero, lo), hi)
        return y

    return [[head(rows, places) for rows in image] for image, places in zip(x, positions, strict=True)]


def appended(cache, new, positions):
    """cache[image][head][position], each position with the last of the new rows that is said to lie there."""
    made = []
    for heads, news, places in zip(cache, new, positions, strict=True):
        made.append([[rows_at[-1] if (rows_at := [row for row, p in zip(fresh, places, strict=True) if p == place]) else old
                      for place, old in enumerate(rows)] for rows, fresh in zip(heads, news, strict=True)])
    return made
