"""fields: the general rule of packed words: what a field has to hold, and after how many products it must be emptied.

A multiplication of two words makes one product in every field of the result at once, and sums of such results make sums of
products in every field. A field is safe for D products where D times its largest and D times its smallest product lie in
what its bits hold; the bits that one product leaves free are its guard bits. What one field loses shows in the next one.

check   4 bits times 4 bits in 16 bits: 291 products (unsigned), 273 (signed times unsigned), 511 (signed times signed);
        8 bits times 8 bits, signed, in 18 bits: 7; -7 to 7 times 8 bits, signed, in 23 bits: 4681, and -8 to 7: 4095
source  Sommer et al. 2022 (arXiv 2203.11028), section III; Agile-Quant (arXiv 2312.05693); Xilinx WP486
"""
from dataclasses import dataclass

from refq.errors import IllFormed
from refq.ints.width import Width

ENDLESS = 1 << 62
"""The drain of a field in which all products are 0: the longest sum of 62 bits."""


@dataclass(frozen=True)
class Field:
    """`name`: how a refusal calls it; `at`: its lowest bit; `held`: its bits, and whether they are read with a sign; `least`
    and `most`: the smallest and the largest product that one multiplication makes in it."""

    name: str
    at: int
    held: Width
    least: int
    most: int

    @property
    def end(self):
        """The first bit above it."""
        return self.at + self.held.bits

    @property
    def guard(self):
        """The bits that one product leaves free."""
        signed, bits = self.held.signed, self.held.bits
        while bits > 1 + signed and all(p in Width(bits - 1, signed) for p in (self.least, self.most)):
            bits -= 1
        return self.held.bits - bits

    @property
    def drain(self):
        """How many products fit, whatever the codes: 0 where not even one does."""
        upward = [self.held.hi // self.most] if self.most > 0 else []
        downward = [self.held.lo // self.least] if self.least < 0 else []
        return min(upward + downward, default=ENDLESS)


def drain_of(fields):
    """After how many products the fields of a word have to be emptied: the least drain of them."""
    return min(field.drain for field in fields)


def prove(where, fields, products, register):
    """Refuse (IllFormed) a word in which some codes make a field lose something: `fields` from the lowest up, of the Width
    `register`; `products`: how many are added before they are emptied. The message names the field that overflows, and what
    would do; `where` is its beginning. What lies above the last field may fall out of the register, if nobody reads it."""
    for below, above in zip(fields, fields[1:]):
        if above.at < below.end:
            raise IllFormed(f"{where}: {above.name} begins at bit {above.at}, inside of {below.name}, which ends at bit "
                            f"{below.end}; set them further apart")
    for field in fields:
        if field.end > register.bits:
            raise IllFormed(f"{where}: {field.name} ends at bit {field.end}, and the word {register} has {register.bits}; take "
                            "fewer fields, or a wider word")
        if field.least < 0 and not field.held.signed:
            raise IllFormed(f"{where}: {field.name} borrows from what lies above it: products reach down to {field.least}, and "
                            f"it is read as {field.held}; read it with a sign, or lift the codes")
        if products > field.drain:
            past, end = (field.most, field.held.hi) if products * field.most > field.held.hi else (field.least, field.held.lo)
            fits = drain_of(fields)
            do = f"drain after {fits}" if fits else "take wider fields"
            raise IllFormed(f"{where}: {field.name} overflows: {products} products of up to {past} make {products * past}, and "
                            f"{field.held.bits} bits read {field.held} end at {end}; {do}")
