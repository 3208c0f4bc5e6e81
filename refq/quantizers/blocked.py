"""What choosers of block scales share: the largest number of every block of a tensor is all that they keep."""
import numpy as np

from refq.errors import IllFormed
from refq.grids.block_scaled import BlockScaled
from refq.grids.minifloat import Minifloat
from refq.ints import blocks
from refq.ints.minifloat import pattern
from refq.quantizers.base import numbers

FINEST, COARSEST = 2.0 ** -100, 2.0 ** 100


class Blocked:
    """`see` arrays (... c) of one shape; `grid()` scales them by what was largest in each."""

    def __init__(self, rule, element, shared=32, g=None):
        """`rule`, `element`: of refq.ints.blocks; `g`: the scale of the tensor, or None: chosen where the rule has one."""
        if element not in blocks.FITS.get(rule, ()):
            raise IllFormed(f"blocks: rule {rule!r} with elements {element!r}; rules are {', '.join(blocks.RULES)}, each with "
                            "elements of its own")
        if not isinstance(shared, int) or shared < 1:
            raise IllFormed(f"blocks: {shared!r} numbers in a block; it has at least one")
        if g is not None and not FINEST <= g <= COARSEST:
            raise IllFormed(f"blocks: a tensor scale of {g!r}; allowed is {FINEST} to {COARSEST}")
        self.rule, self.element, self.shared, self.g, self.most, self.shape = rule, element, shared, g, None, None

    def see(self, values):
        """Raises IllFormed for numbers that are not finite, blocks that do not divide the last axis, another shape."""
        with np.errstate(over="ignore"):
            values = numbers(values).astype(np.float32)
        if values.ndim < 1 or self.shape not in (None, values.shape):
            raise IllFormed(f"blocks: an array of shape {values.shape} behind one of {self.shape}; blocks have their places, so "
                            "all arrays have one shape, of at least one axis")
        if not np.isfinite(values).all():
            raise IllFormed("blocks: values that are not finite in float32 have no scale; clean the data first")
        blocks.count(self.shared, values.shape[-1])
        _, most = blocks.extremes(values.reshape(int(np.prod(values.shape[:-1])), values.shape[-1]), self.rule, self.shared)
        self.shape = values.shape
        self.most = most if self.most is None else larger(self.most, most)

    def merge(self, other):
        """As if this one had seen what the other saw, after its own."""
        if other.most is not None and self.shape not in (None, other.shape):
            raise IllFormed(f"blocks: tensors of shape {self.shape} and {other.shape} do not merge; their blocks differ")
        if other.most is not None:
            self.shape = other.shape
            self.most = other.most if self.most is None else larger(self.most, other.most)

    def seen(self):
        if self.most is None:
            raise IllFormed("blocks: no value was seen; let it see at least one array")
        return self.most

    def tensor(self):
        """The scale of the tensor as float32: what was given; 1 but for rule tensor; amax / (6 * 448), or 1 where all is 0."""
        if self.g is not None or self.rule != "tensor":
            return np.float32(1 if self.g is None else self.g)
        largest = np.max(self.seen(), initial=0)
        return np.float32(max(largest / np.float32(6 * 448), FINEST)) if largest else np.float32(1)

    def grid(self):
        most, g = self.seen(), self.tensor()
        if self.rule in blocks.POWERS:
            scales = blocks.exponents(self.rule, self.element)(pattern(most))
        else:
            single = blocks.unrounded(most, g, self.rule)
            with np.errstate(over="ignore"):
                half = single.astype(np.float16)
            if self.rule != "tensor" and not np.isfinite(half).all():
                raise IllFormed(f"blocks: the scale of a block whose largest number is {float(np.abs(most).max()):.3g} is beyond "
                                "float16; scale the data down, or choose a format whose scales reach farther")
            scales = Minifloat("e4m3fn").encode(single) if self.rule == "tensor" else half.view(np.uint16)
        return BlockScaled(self.rule, self.element, scales.reshape(*self.shape[:-1], -1), self.shared, float(g))


def larger(a, b):
    """Of each pair the number of the larger magnitude, the first of two that are alike."""
    return np.where(np.abs(b) > np.abs(a), b, a)
