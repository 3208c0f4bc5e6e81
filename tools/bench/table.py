"""The README's table of accuracy: networks and recipes down, dialects across (python -m tools.bench.accuracy --table).

A cell holds the share of images whose class is right, in brackets the share whose class is the float network's, both in percent,
and the signal-to-noise ratio of the logits in dB. What is refused has a number, and the sentence stands below the table.
"""
import refq
from refq import dialects, recipes

NETWORKS = {"vit": (128, 32), "vit_d64": (500, 128), "mobilevit": (256, 128), "squeezenet": (256, 32), "mobilenet": (256, 32),
            "resnet20": (256, 128)}
"""Images to judge on and to calibrate on, the first of their folder or file."""
DIALECTS = ("tflite", "tosa", "onnx", "ivit", "ivit_tvm", "ibert", "fqvit", "packqvit")
RECIPES = {"int8": DIALECTS, "w4a8": DIALECTS, "fqvit": ("fqvit", "packqvit")}
"""The dialects under which a recipe is measured."""


def header():
    return f"| network, images, float | recipe | {' | '.join(f'`{d}`' for d in DIALECTS)} |\n|{'---|' * (2 + len(DIALECTS))}"


def cell(bench, recipe, dialect, refusals):
    """The figures of one program, or the number of the sentence that refuses it."""
    try:
        program = bench.program(recipes.load(recipe), dialects.load(dialect))
    except refq.RefqError as e:
        if str(e) not in refusals:
            refusals.append(str(e))
        return f"refused ({refusals.index(str(e)) + 1})", None
    logits, images = bench.logits(program), len(bench.exact) / 100
    said = f"{bench.right(logits) / images:.1f} ({bench.agree(logits).sum() / images:.1f}) {bench.ratio(logits):.1f}"
    return said, program


def rows(bench, refusals, steps):
    """The lines of one network; behind a `#`, where `steps` are asked for, the tensors of the least ratios of each program."""
    images = len(bench.exact)
    for recipe, under in RECIPES.items():
        cells, told = [], []
        for dialect in DIALECTS:
            said, program = cell(bench, recipe, dialect, refusals) if dialect in under else ("", None)
            cells.append(said)
            if program and steps:
                worst = ", ".join(f"{name} {ratio:.1f}" for ratio, name in bench.ratios(program)[:steps])
                told.append(f"# {bench.source.name}, {recipe}, {dialect}, dB: {worst}")
        yield f"| {bench.source.name}, {images}, {bench.right(bench.exact) / images:.1%} | `{recipe}` | {' | '.join(cells)} |"
        yield from told
