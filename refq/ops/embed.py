"""embed: rows of a table, named by an operand: a token becomes the codes of its embedding, and none changes.

    y[n, c] = table[i[n], c]

units    y counts what the table counts; i counts rows, from 0
R1       each place takes the row that it names; one that is not there is refused at the door
error    exact
source   ONNX Gather of a constant along its first axis; Hugging Face's embed_tokens
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost, place_off_by, transposed
from refq.ints.width import I8, I32, Width


@dataclass(frozen=True)
class Row(Base):
    """`places`: how many rows the table has, so that the declared range of i refuses any other."""

    width: Width = decided(I8)
    places: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        if self.places < 1:
            raise IllFormed(f"embed: a table of {self.places} rows; there must be at least one to take")

    @property
    def takes(self):
        return {"i": I32("n", 0, self.places - 1), "table": self.width("[v] c")}

    @property
    def gives(self):
        return {"y": self.width("n c")}

    def sizes(self, found):
        if found["v"] != self.places:
            raise IllFormed(f"embed: the table has {found['v']} rows, and the row takes from {self.places}")
        return {}


def build(row, table):
    """The constants of a step: the codes of the `table` (v c)."""
    return {"table": table}


def spec(i, table, row, at=unwatched):
    return table.astype(np.int64)[i.astype(np.int64)]                      # R1


@cache
def kernel(row):

    @jit(nogil=True)
    def embed(i, table, y):
        for n in range(y.shape[0]):
            place = np.int64(i[n])
            for c in range(y.shape[1]):
                y[n, c] = table[place, c]                                  # R1

    return embed


def real(i, table):
    """The same of a table of real numbers (v c) and places i (n)."""
    return table[i]


def row_of_the_place_before(run, operands, row):
    """A place takes the row that the place before it names."""
    return run({**operands, "i": np.roll(operands["i"], 1)})


slips = (place_off_by("i", 1), place_off_by("i", -1), row_of_the_place_before, transposed("table"), channels_shifted("y", 1),
         last_tile_lost("y", 4))


def r1_all_places_in_order_give_the_table(i, table, row):
    return spec(np.arange(row.places), table, row) == table


def r1_no_code_is_new(i, table, row):
    return np.isin(spec(i, table, row), table)
