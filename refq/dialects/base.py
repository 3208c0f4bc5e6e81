"""What a dialect states: which operation, under which row, plays each role; and which grids the target can hold."""
from dataclasses import dataclass, field
from math import inf

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import I32, I48, Width
from refq.ops import (
    add_factors,
    append,
    argmax,
    arrange,
    batch_matmul,
    batch_matmul_adalog,
    batch_matmul_log2,
    batch_matmul_twin,
    batch_norm,
    clip,
    conv2d,
    conv_transpose2d,
    embed,
    group_norm,
    island,
    l2_norm,
    layernorm_exact,
    matmul,
    matmul_groups,
    max_pool,
    mean,
    mul,
    recode,
    rms_norm,
    rope,
    softmax_masked,
    topk,
)


@dataclass(frozen=True)
class Role:
    """Which operation, with which row, plays a role; `borrowed`: the dialect that it is from where it is not the target's
    own; `ratios`: the least and the largest ratio of an operand's scale to the result's that the target takes here, where it
    leaves others to the role <name>_any."""

    op: str
    row: object
    borrowed: str | None = None
    ratios: tuple = (0.0, inf)


@dataclass(frozen=True)
class Check:
    """A published value: `op` under `row` turns `operands` into `result`."""

    op: str
    row: object
    operands: dict
    result: object
    source: str


WORDS = {"scales": ("any", "pow2"), "bias": ("refuse", "saturate", "wrap"), "nibbles": ("low_first", "high_first")}
"""Fields of a dialect that hold one of a few words."""


@dataclass(frozen=True)
class Dialect:
    """The contract of a target.

    `roles`: by name (rescale, rescale_wide for registers over 32 bits, add, matmul, softmax ...), each own or borrowed; a
    role that is missing is absent. `weights`, `activations`: the bits that are allowed; `asymmetric`: the bits of
    activations that may have a zero point; `narrow`: weights leave out the lowest code; `scales`: those that grids may have
    (any, or pow2: powers of two); `accumulators`: the register for activations of so many bits; `encode`: how a float becomes a
    code, and `encode_weights` how a weight or a bias does, where that is another word; `bias`: what becomes of a given bias that
    its register does not hold (refuse, saturate, wrap); `nibbles`: which of the codes that share a byte lies in its low bits, the
    first (low_first) or the last (high_first); `checks`: published values, tested.
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
    scales: str = "any"
    encode: str = "half_even"
    encode_weights: str = ""
    bias: str = "refuse"
    nibbles: str = "low_first"
    accumulators: dict = field(default_factory=lambda: {8: I32})
    checks: tuple = ()

    def __post_init__(self):
        for name, words in WORDS.items():
            if getattr(self, name) not in words:
                raise IllFormed(f"dialect {self.name}: {name} is {getattr(self, name)!r}; it can be {', '.join(words)}")
        if self.encode_weights not in ("", *rounding.names):
            raise IllFormed(f"dialect {self.name}: encode_weights is {self.encode_weights!r}; it is one of "
                            f"{', '.join(rounding.names)}")
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

    def suited(self, name, *ratios):
        """The role `name`, or <name>_any where these ratios of scales (float32) leave those that it takes."""
        least, most = self.roles[name].ratios if name in self.roles else (0.0, inf)
        beyond = any(not least <= np.float32(ratio) <= most for ratio in ratios)
        return f"{name}_any" if beyond and f"{name}_any" in self.roles else name

    @staticmethod
    def fitted(role, *widths, most=8):
        """The name of `role`, or of its form for wide codes, `<role>_wide`, where one of `widths` has more than `most` bits."""
        return f"{role}_wide" if any(w.bits > most for w in widths) else role

    def accumulator(self, bits) -> Width:
        """The register that sums products with activations of so many bits."""
        return self.accumulators[min(b for b in self.accumulators if b >= bits)]

    def borrow(self, *names):
        """These roles of this dialect, as another one borrows them."""
        roles = ((name, self.roles[name]) for name in names)
        return {name: Role(part.op, part.row, part.borrowed or self.name, part.ratios) for name, part in roles}


TIED = ((1, 1), (-1, 1), (3, 1), (-3, 1), (5, 1), (-5, 1), (10, 2), (-10, 2), (6, 2), (-6, 2), (-24, 4), (40, 4), (-40, 4))
"""Accumulators and k such that acc / 2**k is a tie."""
ANSWERS = {
    "twice": (1, 0, 2, -1, 3, -2, 3, -3, 2, -2, -2, 3, -3),             # TFLite: half up at bit 31, then half away
    "half_up": (1, 0, 2, -1, 3, -2, 3, -2, 2, -1, -1, 3, -2),
    "half_even": (0, 0, 2, -2, 2, -2, 2, -2, 2, -2, -2, 2, -2),
    "half_away": (1, -1, 2, -2, 3, -3, 3, -3, 2, -2, -2, 3, -3),
    "trunc": (0, 0, 1, -1, 2, -2, 2, -2, 1, -1, -1, 2, -2),
    "floor": (0, -1, 1, -2, 2, -3, 2, -3, 1, -2, -2, 2, -3),
}
"""What they become."""
OFF_TIES = ((1553, 1083860905, -5, 25, 24), (3180, 1323544176, -4, 123, 122), (-450, 1248901663, -2, -66, -65),
            (-760, 2089687561, -3, -93, -92), (1999, 1177086202, -4, 69, 68), (-534, 1447038007, -4, -23, -22))
"""Accumulator, TFLite's multiplier and exponent, the result of two roundings and of one: no ties."""


def tied(part, answers, source):
    """Checks that the operation of a Role rounds each of TIED, at a scale of exactly 2**-k, as ANSWERS say."""
    module = ops.load(part.op)
    return tuple(Check(part.op, part.row, {"acc": [[acc]], **module.build(part.row, (2.0 ** -k,), 1.0, 0, 0)}, [[y]], source)
                 for (acc, k), y in zip(TIED, ANSWERS[answers], strict=True))


def off_ties(part, times, source):
    """Checks that a `rescale` which rounds `times` (2 or 1) gives what OFF_TIES say."""
    return tuple(Check(part.op, part.row, {"acc": [[acc]], "zin": 0, "mult": [m], "shift": [31 - s], "zp": 0}, [[y[2 - times]]],
                       source) for acc, m, s, *y in OFF_TIES)


exact = {
    "matmul": Role("matmul", matmul.Row()),
    "matmul_groups": Role("matmul_groups", matmul_groups.Row(), borrowed="refq"),
    "batch_matmul": Role("batch_matmul", batch_matmul.Row()),
    "batch_matmul_log2": Role("batch_matmul_log2", batch_matmul_log2.Row(), borrowed="refq"),
    "batch_matmul_log_sqrt2": Role("batch_matmul_adalog", batch_matmul_adalog.Row(), borrowed="refq"),
    "batch_matmul_adalog": Role("batch_matmul_adalog", batch_matmul_adalog.Row(), borrowed="refq"),
    "batch_matmul_twin": Role("batch_matmul_twin", batch_matmul_twin.Row(), borrowed="refq"),
    "recode": Role("recode", recode.Row(), borrowed="refq"),
    "softmax_masked": Role("softmax_masked", softmax_masked.Row(), borrowed="refq"),
    "conv2d": Role("conv2d", conv2d.Row()),
    "conv_transpose2d": Role("conv_transpose2d", conv_transpose2d.Row()),
    "mean": Role("mean", mean.Row()),
    "sum": Role("mean", mean.Row(), borrowed="refq"),
    "topk": Role("topk", topk.Row(), borrowed="refq"),
    "mul": Role("mul", mul.Row(ratio="float64", high="none", ties="half_even"), borrowed="refq"),
    "mul_wide": Role("mul", mul.Row(ratio="float64", high="none", ties="half_even"), borrowed="refq"),
    "average_pool_sums": Role("conv2d", conv2d.Row(), borrowed="refq"),
    "clip": Role("clip", clip.Row()),
    "max_pool": Role("max_pool", max_pool.Row()),
    "arrange": Role("arrange", arrange.Row()),
    "argmax": Role("argmax", argmax.Row()),
    "layernorm_exact": Role("layernorm_exact", layernorm_exact.Row(), borrowed="refq"),
    "rmsnorm": Role("rms_norm", rms_norm.Row(), borrowed="refq"),
    "group_norm": Role("group_norm", group_norm.Row(), borrowed="refq"),
    "batch_norm": Role("batch_norm", batch_norm.Row(), borrowed="refq"),
    "batch_norm_wide": Role("batch_norm", batch_norm.Row(acc=I48), borrowed="refq"),
    "l2_norm": Role("l2_norm", l2_norm.Row(), borrowed="tflite"),
    "embed": Role("embed", embed.Row(), borrowed="refq"),
    "rope": Role("rope", rope.Row(), borrowed="refq"),
    "append": Role("append", append.Row(), borrowed="refq"),
    "add_factors": Role("add_factors", add_factors.Row(), borrowed="refq"),
    "island": Role("island", island.Row()),
}
"""Roles in which targets do not differ while no register overflows: sums are exact, and data only moves."""
