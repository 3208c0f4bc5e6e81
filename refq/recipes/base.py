"""What a recipe states: bits per role of a tensor, exceptions per layer, calibrators, and how ranges become grids."""
from dataclasses import dataclass
from fnmatch import fnmatchcase

from refq import grids, quantizers
from refq.errors import IllFormed, nearest
from refq.grids import schemes
from refq.quantizers.base import Calibrator

ROLES = ("weights", "edges", "activations", "stream", "logits", "gelu", "probabilities", "output")
FITTING = "fitting"


@dataclass(frozen=True)
class Recipe:
    """Bits of each kind of tensor, and how ranges are found.

    `weights`: symmetric; `edges`: weights of the first and the last layer; `activations`: what enters
    a product; `stream`: the residual stream; `logits`, `gelu`: what enters softmax and GELU; `probabilities`: what leaves
    softmax; `output`: what the network gives.
    `calibrator`: for ranges on at most 8 bits, with `calibrator_options`, pairs of a name and a value; wider ones are taken
    from smallest to largest (`wide`). `scheme`, `wide_scheme`: of activations of at most 8 bits and of wider ones (refq.grids.
    schemes), or fitting: asymmetric where the dialect can, else symmetric_full; codes saturate at the ends of their width anyway.
    `weights_calibrator`, `weights_scheme`: the same for weights; fitting is symmetric, and full where the dialect has that code.
    `granularity`: weights have a scale for each output channel (channel), one for all (tensor), or one for so many inputs of an
    output, a divisor of a linear layer's (the operation matmul_groups); a convolution then has one for each channel.
    `layers`: (glob pattern on layer names, bits of the weights), the first that matches counts. `probabilities_grid`: the kind of
    grid (refq.grids) that what leaves softmax lies on, affine or one with a `covering`; where a target's softmax gives codes of a
    grid of its own, it is that one, whatever is said here. `searched`: what that kind leaves open (a base, a split, a unit) is
    chosen by the quantizer of its name, from the calibration images.
    """

    name: str
    title: str
    source: str
    weights: int = 8
    edges: int = 8
    activations: int = 8
    stream: int = 16
    logits: int = 8
    gelu: int = 8
    probabilities: int = 8
    output: int = 16
    calibrator: str = "percentile"
    wide: str = "minmax"
    layers: tuple = ()
    probabilities_grid: str = "affine"
    scheme: str = FITTING
    wide_scheme: str = FITTING
    weights_calibrator: str = "minmax"
    weights_scheme: str = FITTING
    granularity: str | int = "channel"
    searched: bool = False
    calibrator_options: tuple = ()

    def __post_init__(self):
        for name in ROLES:
            self.refuse_bits(name, getattr(self, name))
        ranges = tuple(name for name in quantizers.names() if issubclass(quantizers.named(name), Calibrator))
        rules = (FITTING, *schemes.names())
        for field, words in (("calibrator", ranges), ("wide", ranges), ("weights_calibrator", ranges),
                             ("scheme", rules), ("wide_scheme", rules), ("weights_scheme", rules)):
            if getattr(self, field) not in words:
                value = getattr(self, field)
                raise IllFormed(f"recipe {self.name}: {field} is {value!r}: {nearest(str(value), words)}")
        self.refuse_options()
        if self.weights_scheme != FITTING and not schemes.unshifted(self.weights_scheme, 8):
            raise IllFormed(f"recipe {self.name}: weights_scheme {self.weights_scheme} gives zero points, which weights do "
                            f"not have here; take one of {', '.join(n for n in schemes.names() if schemes.unshifted(n, 8))}")
        if self.granularity not in ("channel", "tensor") and (
                type(self.granularity) is not int or self.granularity < 1):
            raise IllFormed(f"recipe {self.name}: granularity is {self.granularity!r}; it is channel, tensor or a "
                            "number of inputs")
        known = ["affine", *(kind for kind in grids.kinds() if hasattr(grids.load(kind), "covering"))]
        if self.probabilities_grid not in known:
            raise IllFormed(f"recipe {self.name}: probabilities_grid is {self.probabilities_grid!r}; it is one of "
                            f"{', '.join(known)}")
        if self.probabilities_grid != "affine" and not 3 <= self.probabilities <= 8:
            raise IllFormed(f"recipe {self.name}: probabilities of {self.probabilities} bits on a grid of kind "
                            f"{self.probabilities_grid}; it takes 3 to 8")
        if self.searched is not False and (self.searched is not True or self.probabilities_grid not in quantizers.names()):
            raise IllFormed(f"recipe {self.name}: searched is {self.searched!r} with probabilities on a grid of kind "
                            f"{self.probabilities_grid}; it is true for one of "
                            f"{', '.join(kind for kind in known if kind in quantizers.names())}, else false")
        for entry in self.layers:
            if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)):
                raise IllFormed(f"recipe {self.name}: layers holds {entry!r}; it holds pairs of a pattern and a number of bits")
            self.refuse_bits(f"layers {entry[0]!r}", entry[1])

    def refuse_bits(self, name, bits):
        if type(bits) is not int or not 2 <= bits <= 16:
            raise IllFormed(f"recipe {self.name}: {name} is {bits!r}; it is a number of bits, 2 to 16")

    def refuse_options(self):
        """Refuse what `calibrator` cannot take, in its own words."""
        pairs = self.calibrator_options
        if not isinstance(pairs, tuple) or not all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
            raise IllFormed(f"recipe {self.name}: calibrator_options is {pairs!r}; it holds pairs of a name and a value")
        if taken := {"bits", "scheme"} & {name for name, _ in pairs}:
            raise IllFormed(f"recipe {self.name}: calibrator_options has {min(taken)!r}, which the role of a tensor and the "
                            "field scheme decide; leave it out")
        try:
            quantizers.load(self.calibrator, **dict(pairs))
        except IllFormed as e:
            raise IllFormed(f"recipe {self.name}: {e}") from None

    def bits(self, role):
        """The bits of an activation that plays that role."""
        return self.activations if role == "input" else getattr(self, role)

    def calibrator_of(self, role):
        """The quantizer that finds the range of an activation that plays that role."""
        return self.calibrator if self.bits(role) <= 8 else self.wide

    def quantizer(self, role, dialect=None):
        """What sees an activation that plays that role: a calibrator, fresh, or the quantizer that chooses its whole grid."""
        bits = self.bits(role)
        if role == "probabilities" and self.searched:
            return quantizers.load(self.probabilities_grid, bits=bits)
        options = dict(self.calibrator_options) if bits <= 8 else {}
        return quantizers.load(self.calibrator_of(role), bits=bits, scheme=self.scheme_of(bits, dialect), **options)

    def scheme_of(self, bits, dialect=None):
        """The scheme of activations of so many bits; without a dialect one that has zero points."""
        if (asked := self.scheme if bits <= 8 else self.wide_scheme) != FITTING:
            return asked
        return "asymmetric" if dialect is None or bits in dialect.asymmetric else "symmetric_full"

    def weights_scheme_of(self, dialect):
        """The scheme of weights."""
        if self.weights_scheme != FITTING:
            return self.weights_scheme
        return "symmetric" if dialect.narrow else "symmetric_full"

    def weight_bits(self, layer, edge):
        """The bits of a layer's weights; `edge`: it is the first or the last layer."""
        for pattern, bits in self.layers:
            if fnmatchcase(layer, pattern):
                return bits
        return self.edges if edge else self.weights

    def admit(self, dialect):
        """Refuse what the dialect forbids, naming both."""
        self.admit_schemes(dialect)
        for what, allowed, asked in (("weights", dialect.weights, {self.weights, self.edges, *(b for _, b in self.layers)}),
                                     ("activations", dialect.activations,
                                      {self.activations, self.stream, self.logits, self.gelu, self.output,
                                       *([self.probabilities] if self.probabilities_grid == "affine" else [])})):
            for bits in sorted(asked - set(allowed)):
                raise IllFormed(f"recipe {self.name} asks for {what} of {bits} bits, which dialect {dialect.name} forbids; "
                                f"it allows {', '.join(map(str, allowed))}")

    def admit_schemes(self, dialect):
        """Refuse a scheme that the dialect cannot take, naming both."""
        asked = {self.activations, self.stream, self.logits, self.gelu, self.output,
                 *([self.probabilities] if self.probabilities_grid == "affine" else [])}
        narrow, wide = ([bits for bits in sorted(asked) if (bits > 8) == over] for over in (False, True))
        for field, name, every in (("scheme", self.scheme, narrow), ("wide_scheme", self.wide_scheme, wide),
                                   ("weights_scheme", self.weights_scheme, (8,))):
            for bits in every if name != FITTING else ():
                if field != "weights_scheme" and bits not in dialect.asymmetric and not schemes.unshifted(name, bits):
                    raise IllFormed(f"recipe {self.name} asks for {field} {name}, whose grids have zero points, which dialect "
                                    f"{dialect.name} forbids at {bits} bits; take fitting, or one without zero points")
                if dialect.scales != "any" and not schemes.powers(name, bits):
                    raise IllFormed(f"recipe {self.name} asks for {field} {name}, whose scales are any numbers, of which dialect "
                                    f"{dialect.name} allows powers of two only; take fitting or power_of_two_ceil")
