"""lanes: several small codes in one machine word, so that one multiplication makes several products.

    word = sum over i of (code[i] + offset) * 2**(i*field)         field 0 is the lowest
    sum over k of word[k] * shared[k]                              holds a sum of products in every field

The operand `shared` is one number for all fields. A field has as many bits as the distance to the next one; what it has
beyond one product are its guard bits (fields.py has the rule). Sums are taken out again in one of two ways:

    borrow   codes are packed with their sign, so a negative field borrows 1 from the one above; offset is 0. Each field is
             read signed and what is above it gets the borrow back: rest = (rest >> field) + (bit field-1 of rest)
    bias     offset lifts codes to 0 and up, and shared is never negative, so nothing borrows. Each field is read unsigned,
             and offset * (sum of shared) is taken off it afterwards

drain   a field takes D products: the largest D with D * (largest product) and D * (smallest product) inside the field.
        Then it is emptied into a wider register. The word itself may wrap: its fields do not depend on what leaves it
port    the operand of the multiplier that takes the packed codes: they have to fit it with all their signs, or what it cuts
        off is missing in the highest field
check   4 bits times 4 bits, 16-bit fields: 291 (unsigned), 273 (signed times unsigned), 511 (signed times signed);
        8 bits times 8 bits signed in 18-bit fields: 7
source  Agile-Quant (arXiv 2312.05693): two INT4 rows in a word; Xilinx WP486: two INT8 products in a DSP48, 18 bits apart
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.ints.fields import Field, drain_of, prove
from refq.ints.row import Row, choice
from refq.ints.width import U32, Width


@dataclass(frozen=True)
class Lanes(Row):
    """`fields` codes in one `word`, `field` bits apart; `code` and `shared`: the lowest and the highest value of a packed
    code and of the other operand; `sign`: how negative codes are held. Raises IllFormed for a row in which not even one
    product fits its field."""

    word: Width = U32
    fields: int = 2
    field: int = 16
    sign: str = choice("borrow", "bias")
    code: tuple = (-8, 7)
    shared: tuple = (0, 15)

    def __post_init__(self):
        super().__post_init__()
        if self.fields < 1 or self.field < 2:
            raise IllFormed(f"lanes: {self.fields} fields of {self.field} bits; there is at least one, of at least 2 bits")
        for name in ("code", "shared"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            lo, hi = getattr(self, name)
            if lo > hi:
                raise IllFormed(f"lanes: {name} reaches from {lo} to {hi}; write the lowest value first")
        if self.sign == "bias" and self.product[0] < 0:
            raise IllFormed(f"lanes: field 0 borrows from field 1: a bias makes {self.product[0]} of code {self.code} and shared "
                            f"{self.shared}, and only products from 0 up stay in their field; lift shared too, or take borrow")
        self.admit(1)

    @property
    def offset(self):
        """What is added to every code before it is packed."""
        return max(0, -self.code[0]) if self.sign == "bias" else 0

    @property
    def held(self):
        """How a field is read."""
        return Width(self.field, signed=self.sign == "borrow")

    @cached_property
    def product(self):
        """The smallest and the largest product in a field."""
        ends = [(c + self.offset) * s for c in self.code for s in self.shared]
        return min(ends), max(ends)

    @cached_property
    def parts(self):
        """The Fields of a word, from the lowest up."""
        return tuple(Field(f"field {i}", i * self.field, self.held, *self.product) for i in range(self.fields))

    @property
    def guard(self):
        """The bits of a field that one product leaves free."""
        return self.parts[0].guard

    @property
    def drain(self):
        """How many products fit every field, whatever the codes: after so many it is emptied."""
        return drain_of(self.parts)

    def admit(self, products):
        """Refuse (IllFormed) to add so many products before a field is emptied, where they may leave it."""
        prove("lanes", self.parts, products, self.word)

    def ported(self, bits):
        """Refuse (IllFormed) packed codes that a multiplier's signed operand of so many bits does not hold."""
        codes = [c + self.offset for c in self.code]
        ends = [sum(end(codes) << i * self.field for i in range(self.fields)) for end in (min, max)]
        port = Width(bits)
        if not (ends[0] in port and ends[1] in port):
            raise IllFormed(f"lanes: field {self.fields - 1} overflows the operand of the multiplier: packed codes reach from "
                            f"{ends[0]} to {ends[1]}, and its {bits} bits end at {port.lo} and {port.hi}; leave out the lowest "
                            "code, or set the fields closer")

    def pack(self, codes):
        """The word (...) of codes (..., fields), an int64 array; of a tuple of Python integers: one integer."""
        return self.word.wrap(joined([c + self.offset for c in listed(codes, self.fields)], self.field))

    def fields_of(self, word):
        """What stands in the fields of a word (...) of an int64 array or a Python integer, from the lowest up: a list. With a
        bias that is `offset` times the shared operand too much."""
        found, rest = [], word
        for _ in range(self.fields):
            found.append(self.held.wrap(rest))
            borrowed = (rest >> self.field - 1) & 1 if self.sign == "borrow" else 0
            rest = (rest >> self.field) + borrowed
        return found

    def unpack(self, word, repair):
        """The sums (..., fields) in a word (...) of an int64 array; of a Python integer: a tuple. `repair`: the sum of
        the shared operands (...) that came into the word, which a bias takes off; borrowing does without it."""
        sums = [part - self.offset * repair for part in self.fields_of(word)]
        return tuple(sums) if isinstance(word, int) else np.stack(sums, -1)


def listed(codes, count):
    """Codes (..., fields) as a list of fields: int64 arrays, or Python integers."""
    return [codes[i] if isinstance(codes, tuple) else codes[..., i].astype(np.int64) for i in range(count)]


def joined(parts, apart):
    """Numbers from the lowest field up, `apart` bits from one another, in one; what is negative borrows."""
    return sum(part << i * apart for i, part in enumerate(parts))
