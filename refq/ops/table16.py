"""table16: any function of a 16-bit code, by 513 entries between which lines are drawn.

    i = q + 2**15 >> 7,  o = q & 127
    rounded  y = t[i] + ((t[i+1] - t[i]) * o + 64 >> 7)
    raised   y = (t[i] << 7) + (t[i+1] - t[i]) * o

units    q counts s_in; y counts s_out, 2**-7 of it where raised
R1       the nine high bits of the code, the lowest one first, are the index
R2       the seven low bits say how far between two entries; rounded once, half up, or not at all
R3       an entry is the function, rounded half away, less half of what the line to the next errs in its middle
error    two units of y, 128**2 / 16 * s_in**2 of the second derivative, and what one step of q changes, where no entry clips:
         entries lie 65535 / 512 codes apart, and are read as if it were 128
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/common.h, LUTPopulate; TOSA 1.0 TABLE; both commit 90b983c2
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import functions, interpolated, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I16, I24, Width


@dataclass(frozen=True)
class Row(Base):
    reading: str = choice("rounded", *interpolated.readings)
    evaluated: str = choice("float32", *interpolated.REALS, acts="build")
    q: Width = decided(I16)

    def __post_init__(self):
        super().__post_init__()
        if self.q != I16:
            raise IllFormed(f"table16: codes of {self.q}; its index is made of the sixteen bits of an i16")

    @property
    def takes(self):
        return {"q": self.q("n"), "t": I16("i")}

    @property
    def gives(self):
        return {"y": I16("n") if self.reading == "rounded" else Width(23)("n")}

    def sizes(self, found):
        if found["i"] != interpolated.COUNT:
            raise IllFormed(f"table16: t has {found['i']} entries; the lines between {interpolated.COUNT} are read")
        return {}


def fraction(row):
    """The bits of fraction that y has beside codes of s_out."""
    return 7 if row.reading == "raised" else 0


def build(row, function, s_in, z_in, s_out, z_out):
    """The table of `function`, a name in refq.ints.functions or a callable of a Decimal, from the real scales (float64)."""
    f = functions.named(function) if isinstance(function, str) else function
    return {"t": interpolated.entries(f, s_in, z_in, s_out, z_out, interpolated.REALS[row.evaluated]).tolist()}


registers = spans.interpolated


def spec(q, t, row, at=unwatched):
    t, q = t.astype(np.int64), q.astype(np.int64)
    i, o = at("index", q + 32768 >> 7, Width(9, False)), at("place", q & 127, Width(7, False))                             # R1
    rise = at("rise", (t[i + 1] - t[i]) * o, I24)                                                  # R2 R3
    if row.reading == "raised":
        return at("y", (t[i] << 7) + rise, Width(23))                                              # R2
    return at("y", t[i] + at.shift("line", "half_up", rise, 7, Width(18)), I16)                          # R2


@cache
def kernel(row):
    reading = interpolated.readings[row.reading]

    @jit(nogil=True)
    def table16(q, t, y):
        wide = t.astype(np.int64)
        for n in range(q.shape[0]):
            y[n] = reading(wide, np.int64(q[n]))                                                   # R1 R2 R3

    return table16


def real(q, function, s_in, z_in, s_out, z_out):
    """function(s_in * (q - z_in)) / s_out + z_out of arrays; `function`: of float64 arrays."""
    return function(s_in * (np.asarray(q, np.float64) - z_in)) / s_out + z_out


def half_of_the_line(run, operands, row):
    """The low bits are read one place too high: the line goes half as far."""
    q = operands["q"]
    return run({**operands, "q": (q & ~np.int16(127)) | ((q & 127) >> 1)})


slips = (half_of_the_line, channels_shifted("t", 1), channels_shifted("q", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r1_places_of_entries_give_them(q, t, row):
    """A code without low bits reads its entry alone."""
    y = spec(np.arange(-32768, 32768, 128), t, row)
    return y == t[:-1].astype(np.int64) << (7 if row.reading == "raised" else 0)


def r2_stays_between_two_entries(q, t, row):
    i, t = q.astype(np.int64) + 32768 >> 7, t.astype(np.int64) << (7 if row.reading == "raised" else 0)
    y = spec(q, t >> (7 if row.reading == "raised" else 0), row)
    return (np.minimum(t[i], t[i + 1]) <= y) & (y <= np.maximum(t[i], t[i + 1]))
