"""What calibrators, schemes, grids of probabilities and masks cost: the README's tables, one network a column.

    python -m tools.bench.quantizers                                    embedded network, ResNet-20, ViT d64, ViT-Tiny
    python -m tools.bench.quantizers --networks digits vit_d64 --parts weights masks
    python -m tools.bench.quantizers --dialect onnx --images 32

A cell holds the images whose class is right and the signal-to-noise ratio of the logits in dB, against the float network. In a
row one thing differs from recipe `int8` or `w4a8` (8-bit activations by percentile; 4-bit weights per channel from smallest to
largest, first and last layer 8 bits). Every calibrator sees the same one pass over the calibration images. Images by 4-bit
probabilities: 4-bit codes behind softmax alone, all else `int8`; the grid is searched on the calibration images, or reaches from 0
to the largest seen (affine). Masks leave the first and the last layer whole, and nothing is trained after them: "float" is the
pruned float network, "before" grids for what is left, "after" those of the dense network.
All but the embedded network lie in ../shared/assets; without them they are left out, and said so.
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
CALIBRATORS = ("minmax", "moving_average", "percentile", "percentile_magnitude", "percentile_ort", "entropy_tensorrt",
               "entropy_glow", "entropy_ort", "mse", "omse", "aciq_laplace", "aciq_gauss", "aciq_one_sided")
SCHEMES = ("asymmetric", "symmetric", "symmetric_uint8", "power_of_two_ceil", "power_of_two_nearest")
WEIGHT_SCHEMES = ("symmetric", "power_of_two_ceil", "power_of_two_nearest")
WEIGHTS = ("minmax", "percentile", "mse", "omse", "aciq_laplace", "aciq_gauss")
PROBABILITIES = ("affine", "twin", "log2", "log_sqrt2", "adalog")
MASKS = {"2:4": ("n_m", {"pattern": "2:4"}), "50 % of each layer": ("magnitude_per_layer", {"sparsity": 0.5}),
         "50 % of the network": ("magnitude", {"sparsity": 0.5}),
         "half of the 1x4 blocks": ("block", {"pattern": "1x4", "sparsity": 0.5})}
BITS = 4
"""Of the probabilities."""
PARTS = ("calibrators", "schemes", "weights", "probabilities", "masks")


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
        self.seen = watched(source.network, self.calibration, Every(asked), dialect=dialect)
        self.roles = Groups(source.network).role
        self.pruned = {}

    def grids(self, recipe):
        """Grids as `quantize` chooses them, of what was seen."""
        network = self.source.network
        ranges = {group: seen.of(key(recipe, self.roles[group], self.dialect)) for group, seen in self.seen.items()}
        return factored(network, self.calibration, choose(network, ranges, recipe, self.dialect), self.dialect)

    def said(self, logits):
        return f"{self.right(logits)} {self.ratio(logits):.1f}"

    def masks(self, name):
        if name not in self.pruned:
            method, parameters = MASKS[name]
            self.pruned[name] = refq.prune(self.source.network, method, "!edges", **parameters)
        return self.pruned[name]


def program(recipe, masks=None):
    """The cell of a recipe's program; `masks`: the name of those put on behind the choice of grids."""
    def cell(bench):
        recipe.admit(bench.dialect)
        found = masks and bench.masks(masks)
        made = quantize(bench.source.network, None, recipe, bench.dialect, bench.grids(recipe), masks=found)
        return bench.said(bench.logits(made))
    return cell


def pruned_float(name):
    """The cell of a pruned float network: the share kept, before the figures."""
    def cell(bench):
        masks = bench.masks(name)
        left, output = masks.apply(bench.source.network), bench.source.network.outputs[0]
        logits = accuracy.split(lambda part: evaluate(left, part)[output], bench.source.images, bench.threads, bench.at_once)
        return f"({1 - masks.pruned / masks.count:.0%}) {bench.said(logits)}"
    return cell


def pruned_before(recipe, name):
    """The cell of a pruned network, calibrated and quantized as it is."""
    def cell(bench):
        made = quantize(bench.masks(name).apply(bench.source.network), bench.calibration, recipe, bench.dialect)
        return bench.said(bench.logits(made))
    return cell


def rows(part):
    """(label, recipe, cell) of every row of a part; recipe: None where nothing has to be seen for it."""
    int8, w4a8 = recipes.load("int8"), recipes.load("w4a8")
    if part == "calibrators":
        varied = [(recipe, f"activations `{name}`", {"calibrator": name}) for recipe in (int8, w4a8) for name in CALIBRATORS]
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
                yield f"{name}, `{recipe.name}` after", recipe, program(recipe, name)
        return
    for recipe, label, fields in varied:
        changed = replace(recipe, **fields)
        yield f"`{recipe.name}`, {label}", changed, program(changed)


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
