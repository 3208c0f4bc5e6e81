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
    """The path of the weights as safetensors with timm's tensor names; its config, digits.json, lies beside it."""
    return path("digits.safetensors")


def exported():
    """The path of the same network as ONNX, as torch's exporter writes it: image (n 1 8 8) float32 -> logits (n 10)."""
    return path("digits.onnx")


@cache
def stored():
    import numpy

    with numpy.load(path("images.npz"), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for array in arrays.values():
        array.flags.writeable = False       # they are handed out more than once
    return arrays


def images():
    """The test images: uint8 (n=360 h=8 w=8), ink from 0 to 16; digits.json says how they are normalised."""
    return stored()["images"]


def labels():
    """The digit of each test image: uint8 (n=360)."""
    return stored()["labels"]


def calibration():
    """Images to choose grids with, from the training set: uint8 (n=256 h=8 w=8), ink from 0 to 16."""
    return stored()["calibration"]
