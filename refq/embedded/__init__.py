"""The default network, its images and its labels: data that comes with the package; nothing is downloaded.

A small vision transformer (8x8 pixels, patches of 2, width 64, 4 blocks, 4 heads) trained by tools/train_digits.py on
the UCI handwritten digits. The test images were not trained on; the calibration images are a part of those that were.
"""
from functools import cache
from importlib.resources import files
from pathlib import Path


def path(name):
    """Where a file of this folder lies, in a checkout as in an installed wheel."""
    return Path(str(files(__name__).joinpath(name)))


def network():
    """The path of the weights as safetensors with timm's tensor names; its config.json lies beside it."""
    return path("digits/digits.safetensors")


def exported():
    """The path of the same network as ONNX, as torch's exporter writes it: image (n 1 8 8) float32 -> logits (n 10)."""
    return path("digits/digits.onnx")


@cache
def stored():
    import numpy

    with numpy.load(path("images.npz"), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for array in arrays.values():
        array.flags.writeable = False       # they are handed out more than once
    return arrays


def images():
    """The test images: uint8 (n=360 h=8 w=8), ink from 0 to 16; digits/config.json says how they are normalised."""
    return stored()["images"]


def labels():
    """The digit of each test image: uint8 (n=360)."""
    return stored()["labels"]


def calibration():
    """Images to choose grids with, from the training set: uint8 (n=256 h=8 w=8), ink from 0 to 16."""
    return stored()["calibration"]


def as_input(ink):
    """Images of ink (n h w) as the network takes them: float32 (n 1 h w), normalised as digits/config.json says."""
    import json

    import numpy

    config = json.loads(path("digits/config.json").read_text())
    return ((numpy.asarray(ink, numpy.float32)[:, None] - config["mean"][0]) / config["std"][0]).astype(numpy.float32)


def grids(recipe, asymmetric):
    """The grids chosen on the calibration images (group of tensors to Affine) for a recipe's name and the bits that may
    have a zero point; None where none were kept. tools/record.py writes them."""
    import json

    from refq.grids.affine import from_description

    kept = json.loads(path("grids.json").read_text()).get(key(recipe, asymmetric))
    return kept and {group: from_description(text) for group, text in kept.items()}


def key(recipe, asymmetric):
    """The name of a choice of grids in grids.json."""
    return f"{recipe}, zero points at {', '.join(map(str, asymmetric)) or 'no'} bits"
