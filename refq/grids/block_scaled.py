"""Block-scaled grid: numbers along the last axis share a scale in blocks, and the scales are codes of a small format themselves.

real = element(code) * scale(code of its block) * tensor. The rules by name, their elements and their scales: refq/ints/blocks.py.
`encode` gives the nearest element under the scales that the grid has, which ggml's own codes need not be: they come of the scale
before it is stored (refq/ops/quantize_blocks.py).
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.grids.minifloat import coded, quotient
from refq.ints import blocks, floats, minifloat
from refq.ints.minifloat import power
from refq.ints.width import Width


@dataclass(frozen=True, eq=False)
class BlockScaled:
    """`rule`, `element`: words of refq.ints.blocks; `scales`: codes (... blocks) of every `shared` numbers along the last axis;
    `tensor`: the scale of all, 1 but for rule tensor."""

    rule: str
    element: str
    scales: np.ndarray
    shared: int = 32
    tensor: float = 1.0
    kind, narrow = "block_scaled", False

    def __post_init__(self):
        if self.rule not in blocks.RULES or self.element not in blocks.FITS[self.rule]:
            raise IllFormed(f"a block-scaled grid: rule {self.rule!r} with elements {self.element!r}; rules are "
                            f"{', '.join(blocks.RULES)}, each with elements of its own")
        declared, scales = blocks.scale_width(self.rule), np.array(self.scales)
        if scales.ndim < 1 or scales.size and not (
                scales.dtype.kind in "iu" and declared.lo <= scales.min() and scales.max() <= declared.hi):
            raise IllFormed(f"a block-scaled grid: its scales are codes of {declared} along the axes of the tensor, the last by "
                            "block")
        if not isinstance(self.shared, int) or self.shared < 1 or not (np.isfinite(self.tensor) and self.tensor > 0):
            raise IllFormed(f"a block-scaled grid: blocks of {self.shared!r} under a tensor scale of {self.tensor!r}; a block "
                            "has at least one number, and the scale is finite and greater than 0")
        scales = scales.astype(declared.dtype)
        scales.flags.writeable = False
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "tensor", float(np.float32(self.tensor)))

    axis = -1

    @property
    def block(self):
        return self.shared

    @property
    def width(self):
        return blocks.code_width(self.element)

    @property
    def zero(self):
        """The code of 0."""
        return 8 if self.element == "int4" else 0

    @property
    def lo(self):
        return self.width.lo

    @property
    def hi(self):
        return self.width.hi

    @cached_property
    def reals(self):
        """The real of each block's scale: float64, NaN where it is none."""
        if self.rule in blocks.POWERS:
            return np.where(self.scales == 255, np.nan, power(np.minimum(self.scales, 254).astype(np.int64) - 127))
        known = minifloat.load("e4m3fn" if self.rule == "tensor" else "float16").values[self.scales.astype(np.int64)]
        return np.float64(np.float32(known) * np.float32(self.tensor))

    @property
    def elements(self):
        """The number of every code from the lowest, in units of its scale."""
        if self.element == "int4":
            return np.arange(-8.0, 8)
        if self.element == "int8":
            return np.arange(-128.0, 128) / (64 if self.rule in blocks.POWERS else 1)
        return minifloat.load(self.element).values

    def over(self, shape):
        """The scale of each number of an array of `shape`; raises IllFormed where the blocks do not make it up."""
        if not shape or (*shape[:-1], -(-shape[-1] // self.shared)) != self.scales.shape or shape[-1] % self.shared:
            raise IllFormed(f"a block-scaled grid with scales of shape {self.scales.shape} for blocks of {self.shared}: an array "
                            f"of shape {shape} does not fit; pad its last axis with zeros to whole blocks")
        return np.repeat(self.reals, self.shared, -1)

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals: the nearest elements, saturated; the code of 0 in blocks whose scale is 0, infinite or
        a NaN. Raises IllFormed for a NaN in a block that has a scale."""
        x = np.asarray(x, np.float64)
        scale = self.over(x.shape)
        live = np.isfinite(scale) & (scale != 0)
        if np.isnan(x[live]).any():
            raise IllFormed("a NaN has no code in a block of numbers; clean the data first")
        x, scale = np.where(live, x, 0.0) * np.where(scale < 0, -1.0, 1.0), np.where(live, np.abs(scale), 1.0)
        f = minifloat.formats.get(self.element)
        if f:
            return np.asarray(coded(quotient(x, scale, f), f, ties), self.width.dtype)
        unit, lo, hi = (1, -8, 7) if self.element == "int4" else (64 if self.rule in blocks.POWERS else 1, -127, 127)
        whole = np.clip(floats.nearest(ties, Width(40))(x / scale * unit), lo, hi)
        return np.asarray(whole + 8 * (self.element == "int4"), self.width.dtype)

    def decode(self, q):
        """The reals of an array of codes, in float64; NaN in blocks whose scale is one. Raises IllFormed for other numbers."""
        q = np.asarray(q, np.int64)
        if q.size and not (self.lo <= q.min() and q.max() <= self.hi):
            raise IllFormed(f"a block-scaled grid of {self.element}: codes from {q.min()} to {q.max()}; it has {self.lo} to "
                            f"{self.hi}")
        with np.errstate(invalid="ignore"):
            return self.elements[q - self.lo] * self.over(q.shape)

    def describe(self):
        """The grid as plain data."""
        return {"kind": self.kind, "rule": self.rule, "element": self.element, "scales": self.scales.tolist(),
                "shared": self.shared, "tensor": self.tensor.hex()}

    def same(self, other):
        """Equality by content: the same codes stand for the same reals."""
        return self.describe() == other.describe()


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    try:
        if text["kind"] != BlockScaled.kind or set(text) != {"kind", "rule", "element", "scales", "shared", "tensor"}:
            raise ValueError(f"it says {', '.join(sorted(map(str, text)))}")
        return BlockScaled(text["rule"], text["element"], np.array(text["scales"]), text["shared"], float.fromhex(text["tensor"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, IllFormed):
            raise
        raise IllFormed(f"the description of a block-scaled grid is damaged: {error}; write it with describe()") from error
