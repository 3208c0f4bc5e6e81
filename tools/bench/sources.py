"""The networks that tools/bench/accuracy.py measures, with the images that they are calibrated and judged on.

All but the embedded one lie in ../shared/assets (models/ and images/, README.md there says how each wants its images); a source
whose files are absent is left out, and said so.
"""
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import refq
from refq import embedded
from refq.load.images import images as pictures

ASSETS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "assets"
MODELS, PICTURES = ASSETS / "models", ASSETS / "images" / "imagenet"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_BGR = (104.0, 117.0, 123.0)


@dataclass
class Source:
    """A float network, images with their classes, and images to calibrate on."""

    name: str
    network: object
    images: np.ndarray
    labels: np.ndarray
    calibration: np.ndarray
    kept: object = None     # (recipe's name, bits that may have zero points) -> grids chosen before, or None


def model(file):
    """The path of a model, or None, and said so."""
    path = MODELS / file
    return path if path.exists() else print(f"{file}: ../shared/assets is absent; left out\n")


def digits(count):
    images = embedded.as_input(embedded.images())[:count]
    return Source("digits", refq.load(embedded.network()), images, embedded.labels()[:count],
                  embedded.as_input(embedded.calibration()), embedded.grids)


def classes():
    """The class of each evaluation picture, in the order of their names."""
    with open(PICTURES / "evaluation" / "labels.csv", newline="") as file:
        named = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    return np.array([named[name] for name in sorted(named)])


def imagenet(name, file, prepare, count):
    """A network of ImageNet's classes; `prepare` makes an array of a folder of pictures."""
    path = model(file)
    if path is None:
        return None
    labels, (evaluation, calibration) = classes(), (prepare(PICTURES / part) for part in ("evaluation", "calibration"))
    if len(labels) != len(evaluation):
        raise SystemExit(f"{PICTURES}/evaluation: {len(evaluation)} pictures, and labels.csv names {len(labels)}")
    return Source(name, refq.load(path), evaluation[:count], labels[:count], calibration)


def cut(folder, side, short=256):
    """Pictures of a folder as 0..255 (n 3 side side): the short side bilinear to `short`, cut at the centre."""
    from PIL import Image
    made = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        scale = short / min(image.size)
        image = image.resize(tuple(max(short, round(n * scale)) for n in image.size), Image.Resampling.BILINEAR)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        made.append(np.asarray(image.crop((left, top, left + side, top + side)), np.float32).transpose(2, 0, 1))
    return np.stack(made)


def vit_tiny(count):
    return imagenet("ViT-Tiny", "vit_tiny_p16_224_imagenet_fp32.onnx",
                    lambda folder: pictures(folder, (3, 224, 224), mean=0.5, deviation=0.5, crop=0.9), count)


def squeezenet(count):
    return imagenet("SqueezeNet", "squeezenet_v1.0_imagenet_fp32.onnx",
                    lambda folder: cut(folder, 227)[:, ::-1] - np.float32(MEAN_BGR)[:, None, None], count)


def mobilenet(count):
    return imagenet("MobileNet v1 0.25", "mobilenet_v1_0.25_224_imagenet_fp32.onnx",
                    lambda folder: cut(folder, 224) / np.float32(127.5) - 1, count)


def archive(name, file, data, prepare, count):
    """A network whose images lie in two .npz files."""
    path = model(file)
    if path is None:
        return None
    calibration, evaluation = (np.load(ASSETS / "images" / f"{data}_{part}.npz") for part in ("calibration", "evaluation"))
    return Source(name, refq.load(path), prepare(evaluation["images"][:count]), evaluation["labels"][:count],
                  prepare(calibration["images"][:128]))


def normal(images):
    mean, deviation = (np.float32(v)[:, None, None] for v in IMAGENET)
    return (images.astype(np.float32) / 255 - mean) / deviation


def doubled(images):
    """(n 3 32 32) of uint8, bilinear to twice the size."""
    from PIL import Image
    size = (2 * images.shape[3], 2 * images.shape[2])
    return np.stack([np.asarray(Image.fromarray(i.transpose(1, 2, 0)).resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
                     for i in images])


def mobilevit(count):
    return archive("MobileViT XXS", "mobilevit_xxs_64_cifar10_fp32.onnx", "cifar10", lambda i: normal(doubled(i)), count)


def resnet20(count):
    return archive("ResNet-20", "resnet20_cifar10_fp32.onnx", "cifar10", normal, count)


def vit_d128(count):
    return archive("ViT d128, post-norm", "vit_d128_l6_cifar10_fp32.onnx", "cifar10", normal, count)


def vit_d64(count):
    return archive("ViT d64", "vit_d64_l6_mnist_fp32.onnx", "mnist",
                   lambda i: (i[:, None].astype(np.float32) / 255 - np.float32(0.1307)) / np.float32(0.3081), count)


SOURCES = {"digits": digits, "vit": vit_tiny, "mobilevit": mobilevit, "squeezenet": squeezenet, "mobilenet": mobilenet,
           "resnet20": resnet20, "vit_d128": vit_d128, "vit_d64": vit_d64}
"""By the name that the command line takes; the first two are what it runs where it is not told."""
