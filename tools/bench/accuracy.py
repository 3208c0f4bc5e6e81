"""What quantizing costs: every recipe under every dialect, against the float network and against a simulation.

    python -m tools.bench.accuracy                              the embedded network, and ViT-Tiny where its files are
    python -m tools.bench.accuracy --networks digits            the embedded network alone
    python -m tools.bench.accuracy --recipes int8 --images 64   a part
    python -m tools.bench.accuracy --networks mobilevit squeezenet --dialects tflite ivit --recipes int8 w4a8
    python -m tools.bench.accuracy --table                      the README's table of transformers' dialects, without simulations
    python -m tools.bench.accuracy --table --networks vit --steps 5     beside it the five tensors of the least ratio of each

All networks but the embedded one, and their images, lie in ../shared/assets; without them that part is left out, and said so.
Columns: images whose class is right, for the float network, the integer program, the simulation (the same grids in float64,
every result rounded once to the nearest, softmax, GELU and LayerNorm by the program's own formulas) and the simulation with the
real functions instead; images whose class is the float network's, all of them and those where its margin is above 0.25, each
with how many there are; the signal-to-noise ratio of the logits in dB; the tensors of the least ratios, on the first images.
Networks with operations that the simulation lacks go without it. Then the requirements.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")      # images are split over threads; read before NumPy is imported

import argparse  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from hashlib import sha256  # noqa: E402
from time import perf_counter  # noqa: E402

import numpy as np  # noqa: E402

import refq  # noqa: E402
from refq import dialects, recipes  # noqa: E402
from refq.graph.calibrate import choose, observe  # noqa: E402
from refq.graph.evaluate import evaluate  # noqa: E402
from refq.graph.factors import exponents_of, factored, streams  # noqa: E402
from refq.graph.groups import Groups  # noqa: E402
from refq.graph.quantize import admit, quantize  # noqa: E402
from tools.bench import table  # noqa: E402
from tools.bench.simulate import FORMULAS, constants, simulate, simulated  # noqa: E402
from tools.bench.sources import SOURCES  # noqa: E402

MARGIN = 0.25
LOOKED_AT = 4
"""Images of which every tensor is compared."""


def split(function, images, threads, at_once):
    """`function` of parts of the images over threads, joined: (n classes)."""
    parts = [images[i:i + at_once] for i in range(0, len(images), at_once)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(function, parts))).reshape(len(images), -1)


def noise(true, got):
    return 10 * np.log10((true ** 2).sum() / max(((true - got) ** 2).sum(), 1e-300))


def identity(program):
    """What decides the simulation of a program: codes and grids, and the operations that it takes as they are."""
    taken = {*FORMULAS, "table"}
    read = {name for s in program.steps if s.op in taken for name in s.inputs.values()}
    said = [sha256(c.tobytes()).hexdigest() for n, c in program.constants.items() if program.tensors[n].grid or n in read]
    said += [str((t.grid.width, t.grid.lo, t.grid.scale.tolist(), t.grid.zero.tolist()))
             for n, t in program.tensors.items() if t.grid and n not in program.constants]
    said += [str((s.op, s.row)) for s in program.steps if s.op in taken - {"table"}]
    return sha256("".join(said).encode()).hexdigest()


class Bench:
    """One network: its float logits, and a line for each recipe and dialect."""

    def __init__(self, source, threads):
        self.source, self.threads, self.simulated = source, threads, {}
        network = source.network
        self.at_once = 16 if source.images[0].size < 1000 else 1
        output = network.outputs[0]
        self.exact = split(lambda part: evaluate(network, part)[output], source.images, threads, self.at_once)
        top = np.sort(self.exact, 1)
        self.wide = top[:, -1] - top[:, -2] > MARGIN
        self.ranges, self.factors = {}, {}

    def observed(self, recipe):
        """The ranges that a recipe finds on the calibration images; recipes of the same calibrators share them."""
        roles = Groups(self.source.network).role
        key = tuple(sorted({(role, recipe.calibrator_of(role)) for role in roles.values()}))
        if key not in self.ranges:
            self.ranges[key] = observe(self.source.network, admit(self.source.network, self.source.calibration), recipe)
        return self.ranges[key]

    def grids(self, recipe, dialect):
        """Grids as `quantize` chooses them, with factors where the dialect has them; those of the same streams are shared."""
        network = self.source.network
        chosen = choose(network, self.observed(recipe), recipe, dialect)
        held = sorted(streams(network))
        key = exponents_of(dialect), str([chosen[group].describe() for group in held])
        if key not in self.factors:
            found = factored(network, admit(network, self.source.calibration), chosen, dialect)
            self.factors[key] = {group: found[group] for group in held}
        return chosen | self.factors[key]

    def program(self, recipe, dialect):
        recipe.admit(dialect)
        alone = self.source.kept and exponents_of(dialect) is None         # kept grids hold no factors of channels
        kept = alone and self.source.kept(recipe.name, dialect.asymmetric)
        return quantize(self.source.network, None, recipe, dialect, kept or self.grids(recipe, dialect))

    def logits(self, program):
        """What a program gives, as reals (n classes)."""
        codes = program.run(program.encode(self.source.images), threads=self.threads)[program.outputs[0]]
        return program.decode(codes).reshape(len(codes), -1)

    def ratio(self, logits):
        """The signal-to-noise ratio of logits, in dB."""
        return noise(self.exact, logits)

    def right(self, logits):
        return int((logits.argmax(1) == self.source.labels).sum())

    def agree(self, logits):
        return logits.argmax(1) == self.exact.argmax(1)

    def simulation(self, program, exact):
        if {step.op for step in program.steps} - set(simulated):
            return None
        key = identity(program), exact
        if key not in self.simulated:
            reals = constants(program)
            self.simulated[key] = split(lambda part: simulate(program, part, exact, reals), self.source.images,
                                        self.threads, self.at_once)
        return self.simulated[key]

    def ratios(self, program):
        """(dB, tensor), the tensor farthest from the float network's first, over the first images; what a cut makes smaller is
        looked at behind it."""
        signal, error = {}, {}
        told = {name for names in Groups(self.source.network).seen.values() for name in names}
        for image in self.source.images[:LOOKED_AT]:
            exact = {}
            evaluate(self.source.network, image[None], watch=exact.__setitem__)

            def keep(step, name, codes, exact=exact):
                grid = program.tensors[name].grid
                if name in told & exact.keys() and grid is not None:
                    signal[name] = signal.get(name, 0) + (exact[name] ** 2).sum()
                    error[name] = error.get(name, 0) + ((exact[name] - grid.decode(codes).reshape(exact[name].shape)) ** 2).sum()
            program.run(program.encode(image[None]), watch=keep)
        return sorted((10 * np.log10(signal[n] / max(error[n], 1e-300)), n) for n in signal if signal[n])

    def line(self, recipe, dialect):
        """The figures of one recipe under one dialect, as a dict."""
        started = perf_counter()
        recipe, dialect = recipes.load(recipe), dialects.load(dialect)
        program = self.program(recipe, dialect)
        integer = self.logits(program)
        nearest, real = (self.simulation(program, exact) for exact in ((), FORMULAS))
        nearest, real = (np.full(integer.shape, np.nan) if s is None else s for s in (nearest, real))
        same = self.agree(integer)
        mine, theirs = (logits.argmax(1) == self.source.labels for logits in (integer, nearest))
        return {"worst": self.ratios(program), "simulates": not np.isnan(nearest).any(),
                "recipe": recipe.name, "dialect": dialect.name, "float": self.right(self.exact),
                "integer": self.right(integer), "simulation": self.right(nearest), "real": self.right(real),
                "agree": int(same.sum()), "agree_simulation": int(self.agree(nearest).sum()),
                "agree_wide": int(same[self.wide].sum()), "noise": self.ratio(integer),
                "noise_simulation": self.ratio(nearest), "noise_real": self.ratio(real),
                "lost": int((theirs & ~mine).sum()), "won": int((mine & ~theirs).sum()),
                "missed": np.flatnonzero(self.wide & ~same).tolist(), "seconds": perf_counter() - started}


def requirements(name, images, lines):
    """(text, met) of what must hold of the lines of a network; shares are of the images run."""
    for f in lines:
        where = f"{name}, {f['recipe']}, {f['dialect']}"
        lost = f["float"] - f["integer"]
        most = {"int8": 2, "w4a8": 7}.get(f["recipe"]) if name == "digits" else None
        if most is not None:
            yield f"{where}: {max(lost, 0)} images fewer right than float; at most {most}", lost <= most
        if name == "ViT-Tiny" and (f["recipe"], f["dialect"]) == ("int8", "tflite"):
            yield f"{where}: agreement {f['agree'] / images:.1%}; at least 86 %", f["agree"] >= 0.86 * images
        worse = f["simulation"] - f["integer"]
        if f["simulates"]:
            yield (f"{where}: {worse} images fewer right than the simulation ({f['lost']} lost, {f['won']} won); at most 2",
                   worse <= 2)
        if f["recipe"] == "w8a16":
            few = ", ".join(map(str, f["missed"][:6])) + (" ..." if len(f["missed"]) > 6 else "")
            said = f"{len(f['missed'])} ({few})" if few else "none"
            yield f"{where}: images with a margin above {MARGIN} that disagree: {said}", not f["missed"]


def tabled(networks, steps, threads):
    """Print the README's table of those networks, and below it what was refused and why."""
    print(table.header(), flush=True)
    refusals = []
    for name in networks:
        images, calibration = table.NETWORKS[name]
        if source := SOURCES[name](images):
            source.calibration = source.calibration[:calibration]
            for line in table.rows(Bench(source, threads), refusals, steps):
                print(line, flush=True)
    for number, sentence in enumerate(refusals, 1):
        print(f"({number}) {sentence}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(SOURCES))
    parser.add_argument("--recipes", nargs="+", default=list(recipes.names()))
    parser.add_argument("--dialects", nargs="+", default=list(dialects.names()))
    parser.add_argument("--images", type=int, help="only the first so many evaluation images")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, help="how many of the tensors of the least ratios are named")
    parser.add_argument("--table", action="store_true", help="the README's table")
    a = parser.parse_args()
    if a.table:
        if strange := [name for name in a.networks or () if name not in table.NETWORKS]:
            parser.error(f"--table has no {strange[0]}; it has {', '.join(table.NETWORKS)}")
        return tabled(a.networks or table.NETWORKS, a.steps, a.threads)
    met = []
    for source in filter(None, (SOURCES[name](a.images) for name in a.networks or list(SOURCES)[:2])):
        started = perf_counter()
        bench = Bench(source, a.threads)
        images, wide = len(source.images), int(bench.wide.sum())
        print(f"{source.name}: {images} images, float network {bench.right(bench.exact)} right "
              f"({bench.right(bench.exact) / images:.1%}), {wide} with a margin above {MARGIN}; "
              f"evaluated in {perf_counter() - started:.0f} s")
        print(f"{'':14} {'right':-^33} {'same class as float':-^26} {'logits, dB':-^20}")
        print(f"{'recipe':6} {'dialect':7} {'float':>5} {'integer':>8} {'simulated':>9} {'with real':>9} "
              f"{'integer':>9} {'simulated':>9} {'wide':>7} {'integer':>7} {'sim.':>6} {'real':>5} {'s':>5}  least, dB")
        lines = []
        for recipe in a.recipes:
            for dialect in a.dialects:
                try:
                    lines.append(f := bench.line(recipe, dialect))
                except refq.RefqError as e:
                    print(f"{recipe:6} {dialect:7} {e}")
                    continue
                said = {k: f[k] if f["simulates"] else "-" for k in ("simulation", "real", "agree_simulation")}
                print(f"{recipe:6} {dialect:7} {f['float']:5d} {f['integer']:8d} {said['simulation']:>9} {said['real']:>9} "
                      f"{f['agree']:4d} {f['agree'] / images:4.0%} {said['agree_simulation']:>9} {f['agree_wide']:7d} "
                      f"{f['noise']:7.1f} {f['noise_simulation']:6.1f} {f['noise_real']:5.1f} {f['seconds']:5.0f}  "
                      + ", ".join(f"{ratio:.1f} {name}" for ratio, name in f["worst"][:a.steps or 1]), flush=True)
        print()
        met += requirements(source.name, images, lines)
    for text, holds in met:
        print(f"{'met    ' if holds else 'NOT MET'}  {text}")


if __name__ == "__main__":
    main()
