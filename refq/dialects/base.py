"""What a dialect states: which operation, under which row, plays each role; and which grids the target can hold."""
from dataclasses import dataclass, field

from refq.errors import IllFormed
from refq.ints.width import I32, Width
from refq.ops import argmax, arrange, batch_matmul, clip, conv2d, matmul, mean


@dataclass(frozen=True)
class Role:
    """Which operation, with which row, plays a role; `borrowed`: the dialect that it is from where it is not the target's
    own."""

    op: str
    row: object
    borrowed: str | None = None


@dataclass(frozen=True)
class Check:
    """A published value: `op` under `row` turns `operands` into `result`."""

    op: str
    row: object
    operands: dict
    result: object
    source: str


WORDS = {"bias": ("refuse", "saturate", "wrap"), "nibbles": ("low_first", "high_first")}
"""Fields of a dialect that hold one of a few words."""


@dataclass(frozen=True)
class Dialect:
    """The contract of a target.

    `roles`: by name (rescale, rescale_wide for registers over 32 bits, add, matmul, softmax ...), each own or borrowed; a
    role that is missing is absent. `weights`, `activations`: the bits that are allowed; `asymmetric`: the bits of
    activations that may have a zero point; `narrow`: weights leave out the lowest code; `accumulators`: the register for
    activations of so many bits; `encode`: how a float becomes a code; `bias`: what becomes of a given bias that its register
    does not hold (refuse, saturate, wrap); `nibbles`: which of the codes that share a byte lies in its low bits, the first
    (low_first) or the last (high_first); `checks`: published values, tested.
    """

    name: str
    title: str
    source: str
    date: str
    roles: dict
    weights: tuple = (4, 8)
    activations: tuple = (8, 16)
    asymmetric: tuple = (8,)
    narrow: bool = True
    encode: str = "half_even"
    bias: str = "refuse"
    nibbles: str = "low_first"
    accumulators: dict = field(default_factory=lambda: {8: I32})
    checks: tuple = ()

    def __post_init__(self):
        for name, words in WORDS.items():
            if getattr(self, name) not in words:
                raise IllFormed(f"dialect {self.name}: {name} is {getattr(self, name)!r}; it can be {', '.join(words)}")
        for name in ("weights", "activations", "asymmetric"):
            held = getattr(self, name)
            if not isinstance(held, tuple) or not all(type(b) is int for b in held):
                raise IllFormed(f"dialect {self.name}: {name} is {held!r}; it is a tuple of numbers of bits")
            if wrong := [b for b in held if not 2 <= b <= 16]:
                raise IllFormed(f"dialect {self.name}: {name} of {wrong[0]} bits; 2 to 16 are possible")
        if lacking := [b for b in self.activations if not any(a >= b for a in self.accumulators)]:
            raise IllFormed(f"dialect {self.name}: activations of {lacking[0]} bits have no accumulator")

    def role(self, name):
        """The Role of that name; raises IllFormed where the dialect lacks it."""
        if name not in self.roles:
            raise IllFormed(f"dialect {self.name} has no operation for {name}; it has {', '.join(self.roles)}")
        return self.roles[name]

    def accumulator(self, bits) -> Width:
        """The register that sums products with activations of so many bits."""
        return self.accumulators[min(b for b in self.accumulators if b >= bits)]

    def borrow(self, *names):
        """These roles of this dialect, as another one borrows them."""
        return {name: Role(self.roles[name].op, self.roles[name].row, self.name) for name in names}


exact = {
    "matmul": Role("matmul", matmul.Row()),
    "batch_matmul": Role("batch_matmul", batch_matmul.Row()),
    "conv2d": Role("conv2d", conv2d.Row()),
    "mean": Role("mean", mean.Row()),
    "clip": Role("clip", clip.Row()),
    "arrange": Role("arrange", arrange.Row()),
    "argmax": Role("argmax", argmax.Row()),
}
"""Roles in which targets do not differ while no register overflows: sums are exact, and data only moves."""
