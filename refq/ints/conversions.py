"""What becomes of a rounded float32 that leaves 32 bits, on its way to an integer.

    saturates       the nearest int32 or beyond: a later clip sees where it lies
    lowest_int32    the lowest int32 from either side, as x86's conversion instructions give it

Each is a word of an integer, or an array of them. What is below the lowest int32 is clipped later all the same.
"""
from refq.errors import IllFormed
from refq.ints.jit import word as jitted


@jitted
def saturates(whole):
    return whole


@jitted
def lowest_int32(whole):
    return whole + (whole > 2147483647) * (-2147483648 - whole)


words = {f.__name__: f for f in (saturates, lowest_int32)}
names = tuple(words)


def word(name):
    """The word of that name; raises IllFormed where there is none."""
    if name not in words:
        raise IllFormed(f"a conversion named {name!r}; there are {', '.join(names)}")
    return words[name]
