"""What integers cost a language model: stories260K, float against int8 and w4a8, under a few dialects.

    python -m tools.bench.language [--context 256] [--texts 4]

Texts are drawn from the float network itself (temperature 1, seeded): some to calibrate on, others to measure on. Printed for
each recipe and dialect: the share of positions at which the integer network's likeliest token is the float network's; the
perplexity of both on the texts; how many tokens of the float network's greedy text the integer network repeats before it first
differs, and how many of them it gives where the text so far is the float network's. Decoding beside a cache gives the same bits
as the whole context, and is timed.
The network lies in ../shared/assets, where that is; it is not ours to ship.
"""
import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

import refq
from refq.errors import IllFormed
from refq.graph import decode
from refq.graph.evaluate import evaluate
from tools import stories

MODEL = Path(__file__).resolve().parents[3] / "shared" / "assets" / "models" / "stories260K.bin"
RECIPES, DIALECTS = ("int8", "w8a16", "w4a8"), ("tflite", "tosa", "onnx", "ivit")
FIRST = 1
"""The token that a text begins with."""


def network(path=MODEL, context=256):
    """stories260K over so many tokens."""
    with tempfile.TemporaryDirectory() as folder:
        stories.write(path, folder)
        return refq.load(folder).family.whole(context)


def written(network, count, choose, length=None):
    """`count` texts of the float network (count length): choose(logits (count vocabulary)) gives the next tokens."""
    context = network.inputs["tokens"][1]
    length = length or context
    graph = network.family.stepwise(context)
    caches = {name: np.zeros((count, *shape[1:])) for name, shape in graph.inputs.items() if name not in graph.places}
    tokens = np.full((count, length), FIRST, np.int32)
    for at in range(length - 1):
        made = evaluate(graph, {"tokens": tokens[:, at:at + 1], "positions": np.full((count, 1), at), **caches})
        caches = {name: made[f"{name}.next"] for name in caches}
        tokens[:, at + 1] = choose(made[graph.outputs[0]][:, 0])
    return tokens


def drawn(seed):
    """A choice by the network's own probabilities."""
    rng = np.random.default_rng(seed)

    def choose(logits):
        return (logits + rng.gumbel(size=logits.shape)).argmax(-1)
    return choose


def greedy(logits):
    return logits.argmax(-1)


def perplexity(logits, tokens):
    """exp of the mean surprise at every token but the first: logits (n t v), tokens (n t)."""
    logits = logits[:, :-1] - logits[:, :-1].max(-1, keepdims=True)
    known = np.take_along_axis(logits, tokens[:, 1:, None].astype(np.int64), -1)[..., 0]
    return float(np.exp((np.log(np.exp(logits).sum(-1)) - known).mean()))


def repeated(decoder, program, text):
    """How many tokens of a text (t) the integer network writes by itself, choosing the likeliest, before it first differs."""
    caches, token = decode.empty(decoder), text[0]
    for at in range(len(text) - 1):
        logits, caches = decode.step(decoder, [[token]], at, caches)
        token = int(program.decode(logits)[0, 0].argmax())
        if token != text[at + 1]:
            return at
    return len(text) - 1


def measured(network, calibration, texts, best, recipe, dialect):
    """The figures of one recipe under one dialect, as a dict."""
    program = refq.quantize(network, calibration, recipe, dialect)
    exact = evaluate(network, texts)[network.outputs[0]]
    integer = program.decode(program.run(program.encode(texts))[program.outputs[0]])
    forced = program.decode(program.run(program.encode(best))[program.outputs[0]]).argmax(-1)
    decoder = decode.decoder(network, program)
    caches = decode.empty(decoder)
    decode.step(decoder, best[:, :1], 0, caches)
    started = perf_counter()
    repeats = repeated(decoder, program, best[0])
    return {"agreement": float((exact.argmax(-1) == integer.argmax(-1)).mean()), "float": perplexity(exact, texts),
            "integer": perplexity(integer, texts), "repeated": repeats, "step": (perf_counter() - started) / max(repeats, 1),
            "forced": int((forced[0, :-1] == best[0, 1:]).sum()), "of": best.shape[1] - 1}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--context", type=int, default=256)
    arguments.add_argument("--texts", type=int, default=4)
    asked = arguments.parse_args()
    if not MODEL.exists():
        raise SystemExit(f"{MODEL}: no such file; this bench needs the shared assets")
    model = network(context=asked.context)
    calibration, texts = (written(model, asked.texts, drawn(seed)) for seed in (0, 1))
    best = written(model, 1, greedy)
    print("| recipe | dialect | likeliest token agrees | perplexity, float | perplexity, integer | greedy tokens repeated | "
          "given the text so far | ms a token |\n|---|---|---|---|---|---|---|---|")
    for recipe in RECIPES:
        for dialect in DIALECTS:
            try:
                m = measured(model, calibration, texts, best, recipe, dialect)
            except IllFormed as refused:
                print(f"| `{recipe}` | `{dialect}` | refused: {refused} |", flush=True)
                continue
            print(f"| `{recipe}` | `{dialect}` | {100 * m['agreement']:.1f} % | {m['float']:.3f} | {m['integer']:.3f} | "
                  f"{m['repeated']} of {m['of']} | {m['forced']} of {m['of']} | {1000 * m['step']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
