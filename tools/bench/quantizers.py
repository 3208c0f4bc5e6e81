"""What calibrators, schemes, grids of probabilities and masks cost: the README's table, one network a column.

    python -m tools.bench.quantizers                                    embedded network, ResNet-20, ViT d64, ViT-Tiny
    python -m tools.bench.quantizers --networks digits vit_d64 --parts weights masks
    python -m tools.bench.quantizers --dialect onnx --images 32

A cell holds the images whose class is right and the signal-to-noise ratio of the logits in dB, against the float network. In a
row one thing differs from recipe `int8` or `w4a8` (8-bit activations by percentile; weights per output channel from smallest to
largest, those of 4 bits but in the first and last layer). All calibrators see the same one pass over the calibration images.
"a4" is `int8` with what enters products in 4 bits, and its dialect may have such codes with a zero point. 4-bit probabilities
are what leaves softmax alone. Masks leave the first and the last layer whole, and nothing is trained after them: "float" is the
pruned float network with the share of weights kept, "before" grids for what is left, "after" those of the dense network.
All but the embedded network lie in ../shared/assets; without them they are left out, and said so.

What looks wrong, was looked into, and is the method:
- moving_average with arrays of one image and c = 0.01 stays near the first image's range; entropy_ort with its 128 bins too.
- entropy_tensorrt cuts MNIST's input at 0.425, where the background lies (80 % of the pixels), and loses ViT d64 by that tensor
  alone; NVIDIA's definition, written anew, takes the same edge: behind one grey value P is nearly Q.
- entropy_glow may shrink to as many bins as there are levels, 15 of 1,000 at 4 bits, and does where a ReLU or GELU gives zeros.
- aciq clips by a law of distribution. At 4 bits it beats minmax where values lie about 0 like it (by 3.7 dB of the tensor behind
  ResNet-20's convolutions, by 2.2 behind ViT d64's linear layers), and aciq_one_sided behind a ReLU (by 0.6); what GELU and
  softmax give lies otherwise, and one such tensor ruins a network. At 8 bits it cuts too much. mse beats both everywhere.
  aciq_one_sided has no row: it cuts off all that is below 0.
- mse per channel makes the squared error of 4-bit weights 0.7 to 1 dB less in every layer of the embedded network, and yet the
  logits are worse. Put into the float network layer by layer it is better in 12 of 16, and the sum of their noises is 0.2 dB
  less; of all at once those of minmax happen to cancel 1.7 dB, its own 0.1. Where a tensor has one scale it wins everywhere.
- magnitude over all of ResNet-20 empties layers: its batch norms are folded, so that layers are of unlike scale.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")      # images are split over threads; read before NumPy is imported

import argparse  # noqa: E402
import sys  # noqa: E402
from dataclasses import replace  # noqa: E402
from time import perf_counter  # noqa: E402

import refq  # noqa: E402
from refq import dialects, recipes  # noqa: E402
from refq.graph.calibrate import choose, watched  # noqa: E402
from refq.graph.evaluate import evaluate  # noqa: E402
from refq.graph.factors import factored  # noqa: E402
from refq.graph.groups import Groups  # noqa: E402
from refq.graph.quantize import admit, quantize  # noqa: E402
from tools.bench import accuracy  # noqa: E402
from tools.bench.sources import SOURCES  # noqa: E402

NETWORKS = {"digits": (360, 64), "resnet20": (256, 64), "vit_d64": (500, 64), "vit": (64, 16)}
"""Images to judge on and to calibrate on, the first of their folder or file."""
FEW = ("minmax", "percentile", "entropy_tensorrt", "entropy_glow", "mse", "omse", "aciq_laplace", "aciq_gauss")
CALIBRATORS = (*FEW, "moving_average", "percentile_magnitude", "percentile_ort", "entropy_ort")
SCHEMES = ("asymmetric", "symmetric", "symmetric_uint8", "power_of_two_ceil", "power_of_two_nearest")
WEIGHT_SCHEMES = ("symmetric", "power_of_two_ceil", "power_of_two_nearest")
WEIGHTS = ("minmax", "mse", "omse", "aciq_laplace", "aciq_gauss")
PROBABILITIES = ("affine", "twin", "log2", "log_sqrt2", "adalog")
MASKS = {"2:4": ("n_m", {"pattern": "2:4"}), "50 % of each layer": ("magnitude_per_layer", {"sparsity": 0.5}),
         "50 % of the network": ("magnitude", {"sparsity": 0.5}),
         "half of the 1x4 blocks": ("block", {"pattern": "1x4", "sparsity": 0.5})}
BITS = 4
"""Of activations and probabilities where the parts say so."""
PARTS = ("calibrators", "four", "schemes", "weights", "probabilities", "masks")


class Together:
    """Several quantizers that see the same values; `of(key)`: what one of them found."""

    def __init__(self, held):
        self.held, self.found = held, {}

    def see(self, values):
        for one in self.held.values():
            one.see(values)

    def of(self, key):
        """The range that one finds, or the one itself where it chooses grids."""
        if key not in self.found:
            one = self.held[key]
            self.found[key] = one.range() if hasattr(one, "range") else one
        return self.found[key]


class Every:
    """Of several recipes: for each role of a tensor all the quantizers that they have for it. Takes a recipe's place in
    `watched`."""

    def __init__(self, asked):
        self.asked = asked

    def quantizer(self, role, dialect):
        held = {}
        for recipe in self.asked:
            held.setdefault(key(recipe, role, dialect), recipe.quantizer(role, dialect))
        return Together(held)


def key(recipe, role, dialect):
    """What decides the quantizer of a role."""
    bits = recipe.bits(role)
    if role == "probabilities" and recipe.searched:
        return recipe.probabilities_grid, bits
    return recipe.calibrator_of(role), bits, recipe.scheme_of(bits, dialect)


class Bench(accuracy.Bench):
    """One network, whose quantizers saw the calibration images once."""

    def __init__(self, source, threads, asked, dialect):
        super().__init__(source, threads)
        self.dialect, self.calibration = dialect, admit(source.network, source.calibration)
        self.roles = Groups(source.network).role
        self.seen = self.watched(source.network, asked)
        self.pruned = {}

    def watched(self, network, asked):
        return watched(network, self.calibration, Every(asked), dialect=self.dialect)

    def program(self, recipe, network, seen, masks=None):
        """The program of a network on grids as `quantize` chooses them, of what was seen."""
        recipe.admit(self.dialect)
        ranges = {group: found.of(key(recipe, self.roles[group], self.dialect)) for group, found in seen.items()}
        grids = factored(network, self.calibration, choose(network, ranges, recipe, self.dialect), self.dialect)
        return quantize(network, None, recipe, self.dialect, grids, masks=masks)

    def said(self, logits):
        return f"{self.right(logits)} {self.ratio(logits):.1f}"

    def masked(self, name):
        """(masks, the pruned network, what was seen in it) of a name of MASKS."""
        if name not in self.pruned:
            method, parameters = MASKS[name]
            masks = refq.prune(self.source.network, method, "!edges", **parameters)
            left = masks.apply(self.source.network)
            self.pruned[name] = masks, left, self.watched(left, [recipes.load("int8"), recipes.load("w4a8")])
        return self.pruned[name]


def alone(recipe, masks=None):
    """The cell of a recipe's program; `masks`: the name of those put on behind the choice of grids."""
    def cell(bench):
        if recipe.probabilities == BITS and "probabilities" not in bench.roles.values():
            return ""
        masked = bench.masked(masks)[0] if masks else None
        return bench.said(bench.logits(bench.program(recipe, bench.source.network, bench.seen, masked)))
    return cell


def pruned_float(name):
    """The cell of a pruned float network: the share kept, before the figures."""
    def cell(bench):
        masks, left, _ = bench.masked(name)
        output = left.outputs[0]
        logits = accuracy.split(lambda part: evaluate(left, part)[output], bench.source.images, bench.threads, bench.at_once)
        return f"({1 - masks.pruned / masks.count:.0%}) {bench.said(logits)}"
    return cell


def pruned_before(recipe, name):
    """The cell of a pruned network, calibrated and quantized as it is."""
    def cell(bench):
        _, left, seen = bench.masked(name)
        return bench.said(bench.logits(bench.program(recipe, left, seen)))
    return cell


def rows(part):
    """(label, recipe, cell) of every row of a part; recipe: None where nothing has to be seen for it."""
    int8, w4a8 = recipes.load("int8"), recipes.load("w4a8")
    if part == "calibrators":
        varied = [(recipe, f"activations `{name}`", {"calibrator": name})
                  for recipe, every in ((int8, CALIBRATORS), (w4a8, FEW)) for name in every]
    elif part == "four":
        varied = [(replace(int8, activations=BITS, name="a4"), f"activations `{name}`", {"calibrator": name}) for name in FEW]
    elif part == "schemes":
        varied = [(int8, f"activations `{name}`", {"scheme": name}) for name in SCHEMES]
        varied += [(int8, f"weights `{name}`", {"weights_scheme": name}) for name in WEIGHT_SCHEMES]
    elif part == "weights":
        varied = [(w4a8, f"weights `{name}` per {size}", {"weights_calibrator": name, "granularity": size})
                  for size in ("channel", "tensor") for name in WEIGHTS]
    elif part == "probabilities":
        varied = [(int8, f"probabilities `{name}`, {BITS} bits",
                   {"probabilities": BITS, "probabilities_grid": name, "searched": name != "affine"}) for name in PROBABILITIES]
    else:
        for name in MASKS:
            yield f"{name}, float", None, pruned_float(name)
            for recipe in (int8, w4a8):
                yield f"{name}, `{recipe.name}` before", None, pruned_before(recipe, name)
                yield f"{name}, `{recipe.name}` after", recipe, alone(recipe, name)
        return
    for recipe, label, fields in varied:
        changed = replace(recipe, **fields)
        yield f"`{recipe.name}`, {label}", changed, alone(changed)


def column(source, asked, dialect, threads):
    """The cells of one network, and its head."""
    started = perf_counter()
    bench = Bench(source, threads, [recipe for _, recipe, _ in asked if recipe], dialect)
    cells = []
    for label, _, cell in asked:
        try:
            cells.append(cell(bench))
        except refq.RefqError as e:
            cells.append("refused")
            print(f"{source.name}: {label}: {e}", file=sys.stderr)
        print(f"{source.name}: {label}: {cells[-1]}, {perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    head = f"{source.name}, {len(source.images)} images, float {bench.right(bench.exact)}, {len(source.calibration)} to calibrate"
    return head, cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(SOURCES), default=list(NETWORKS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--dialect", default="tflite")
    parser.add_argument("--images", type=int, help="only the first so many evaluation images")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    a = parser.parse_args()
    dialect = dialects.load(a.dialect)
    dialect = replace(dialect, activations=(BITS, *dialect.activations), asymmetric=(BITS, *dialect.asymmetric))
    asked = [row for part in a.parts for row in rows(part)]
    columns = []
    for name in a.networks:
        images, calibration = NETWORKS.get(name, (256, 64))
        if source := SOURCES[name](a.images or images):
            source.calibration = source.calibration[:calibration]
            columns.append(column(source, asked, dialect, a.threads))
    print(f"| | {' | '.join(head for head, _ in columns)} |\n|{'---|' * (1 + len(columns))}")
    for place, (label, _, _) in enumerate(asked):
        print(f"| {label} | {' | '.join(cells[place] for _, cells in columns)} |")


if __name__ == "__main__":
    main()
