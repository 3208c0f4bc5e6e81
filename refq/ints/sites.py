"""Sites: the places inside an operation where something can be watched or altered.

A spec passes every register, rounding, division and clip through `at`. `Sites` does just what each says; a listener
overrides a method to look (events, traces, width checks) or to return something else (mutants).
"""
from refq.ints import floats, rounding


class Sites:
    """The plain meaning of each site. `name` is the site's name in its operation; `width` its declared register."""

    def __call__(self, name, value, width):
        """A register: the value as it is."""
        return value

    def shift(self, name, word, x, s, width):
        """`x / 2**s` rounded by the word of that name."""
        return self(name, rounding.word(word)(x, s), width)

    def divide(self, name, word, x, d, width):
        """`x / d` (d > 0) rounded by the word of that name."""
        return self(name, rounding.divide(word)(x, d), width)

    def nearest(self, name, word, x, width):
        """A float32 array `x` rounded by the word of that name and saturated, as integers."""
        return self(name, floats.rounded(x, word, width), width)

    def clip(self, name, x, width):
        """Saturate to what the width holds."""
        return self(name, width.clip(x), width)

    def wrap(self, name, x, width):
        """Keep the low bits of a register."""
        return self(name, width.wrap(x), width)


unwatched = Sites()
