"""sp2: the grid of sums of two powers of two whose unit makes the least squared error of the data.

Where nothing is below 0 the codes are unsigned, and stand for the sums that PackQViT's released code rounds to (its unit is 1:
`first=1`); else they have a sign and stand for the sums of Mix and Match. The largest level is searched in eighths of an octave
from the largest magnitude seen down.

source   the grid: refq.grids.sp2; searched by mean squared error, which is stated here
"""
from refq.grids.sp2 import MOST, NINE, Sp2, counted, published
from refq.ints.width import Width
from refq.quantizers.searched import Chooser, Shares, middles


class Quantizer(Shares):
    """`bits`: of the codes, 3 to 8; `first`: the largest level, or None for a search."""

    def seen(self):
        return Chooser.seen(self) if self.least < 0 else super().seen()

    def candidates(self):
        levels = self.made(1.0).levels
        for first in self.firsts():
            yield levels * first, middles(levels) * first, first

    def made(self, what):
        signed = self.least < 0
        sums = published(self.bits) if signed else NINE if self.bits > 3 else NINE[:8]
        return Sp2(Width(self.bits, signed), sums, float(what) / (counted(sums)[-1] / (1 << MOST)))
