"""What a recipe states: bits per role of a tensor, exceptions per layer, and the calibrator."""
from dataclasses import dataclass
from fnmatch import fnmatchcase

from refq import grids
from refq.errors import IllFormed


@dataclass(frozen=True)
class Recipe:
    """Bits of each kind of tensor, and how ranges are found.

    `weights`: per output channel, symmetric; `edges`: weights of the first and the last layer; `activations`: what enters
    a product; `stream`: the residual stream; `logits`, `gelu`: what enters softmax and GELU; `probabilities`: what leaves
    softmax; `output`: what the network gives. Activations are asymmetric where the dialect can, else symmetric.
    `calibrator`: for ranges on at most 8 bits; wider ones are taken from smallest to largest (`wide`).
    `layers`: (glob pattern on layer names, bits of the weights), the first that matches counts. `probabilities_grid`: the kind of
    grid (refq.grids) that what leaves softmax lies on, affine or one with a `covering`; where a target's softmax gives codes of a
    grid of its own, it is that one, whatever is said here.
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

    def __post_init__(self):
        for name in ("weights", "edges", "activations", "stream", "logits", "gelu", "probabilities", "output"):
            self.refuse_bits(name, getattr(self, name))
        known = ["affine", *(kind for kind in grids.kinds() if hasattr(grids.load(kind), "covering"))]
        if self.probabilities_grid not in known:
            raise IllFormed(f"recipe {self.name}: probabilities_grid is {self.probabilities_grid!r}; it is one of "
                            f"{', '.join(known)}")
        if self.probabilities_grid != "affine" and not 3 <= self.probabilities <= 8:
            raise IllFormed(f"recipe {self.name}: probabilities of {self.probabilities} bits on a grid of kind "
                            f"{self.probabilities_grid}; it takes 3 to 8")
        for entry in self.layers:
            if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)):
                raise IllFormed(f"recipe {self.name}: layers holds {entry!r}; it holds pairs of a pattern and a number of bits")
            self.refuse_bits(f"layers {entry[0]!r}", entry[1])

    def refuse_bits(self, name, bits):
        if type(bits) is not int or not 2 <= bits <= 16:
            raise IllFormed(f"recipe {self.name}: {name} is {bits!r}; it is a number of bits, 2 to 16")

    def bits(self, role):
        """The bits of an activation that plays that role."""
        return self.activations if role == "input" else getattr(self, role)

    def calibrator_of(self, role):
        """The quantizer that finds the range of an activation that plays that role."""
        return self.calibrator if self.bits(role) <= 8 else self.wide

    def weight_bits(self, layer, edge):
        """The bits of a layer's weights; `edge`: it is the first or the last layer."""
        for pattern, bits in self.layers:
            if fnmatchcase(layer, pattern):
                return bits
        return self.edges if edge else self.weights

    def admit(self, dialect):
        """Refuse what the dialect forbids, naming both."""
        for what, allowed, asked in (("weights", dialect.weights, {self.weights, self.edges, *(b for _, b in self.layers)}),
                                     ("activations", dialect.activations,
                                      {self.activations, self.stream, self.logits, self.gelu, self.output,
                                       *([self.probabilities] if self.probabilities_grid == "affine" else [])})):
            for bits in sorted(asked - set(allowed)):
                raise IllFormed(f"recipe {self.name} asks for {what} of {bits} bits, which dialect {dialect.name} forbids; "
                                f"it allows {', '.join(map(str, allowed))}")
