"""Images for a network: an .npy or .npz file, a folder of .npy files, or a folder of pictures (with Pillow).

Arrays are taken as the network wants them: (n *shape), or one image (*shape) per file of a folder. Pictures are resized
so that the short side is size / crop, cut at the centre, scaled to 0..1, and normalized by mean and deviation.
"""
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from refq.errors import Corrupt, IllFormed

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def images(path, shape, mean=0.5, deviation=0.5, crop=0.9):
    """Images of `shape` (of one image) from a file or folder, as an array (n *shape).

    Raises IllFormed where nothing fits, naming the file and the shape, and where an image holds NaN or an infinity;
    Corrupt for a file that cannot be read."""
    path = Path(path)
    if path.is_dir():
        return folder(path, shape, mean, deviation, crop)
    if not path.exists():
        raise IllFormed(f"{path}: no such file or folder; images come as .npy, .npz or a folder")
    return fitting(array(path), shape, path)


def array(path):
    """The one array of an .npy or .npz file."""
    try:
        data = np.load(path, allow_pickle=False)
        arrays = None if isinstance(data, np.ndarray) else data.files
        names = [n for n in arrays or () if n in ("images", "x", "data")] or arrays
        if names is None or len(names) == 1:
            return data if names is None else data[names[0]]
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error):      # what NumPy says of pickles is no advice
        raise Corrupt(f"{path}: not an .npy or .npz file of numbers, or damaged; write it with numpy.save") from None
    raise IllFormed(f"{path}: holds arrays {', '.join(arrays) or '(none)'}; name the one with the images `images`")


def fitting(data, shape, path):
    if data.dtype.kind not in "fiu":
        raise IllFormed(f"{path}: holds {data.dtype}; images are numbers")
    if data.shape == tuple(shape):
        data = data[None]
    if data.shape[1:] != tuple(shape):
        raise IllFormed(f"{path}: holds an array of shape {data.shape}; the network takes (n, {', '.join(map(str, shape))})")
    if not len(data):
        raise IllFormed(f"{path}: holds no image; give at least one")
    for i, image in enumerate(data if data.dtype.kind == "f" else ()):
        if not np.isfinite(image).all():
            raise IllFormed(f"{path}: image {i} holds NaN or an infinity")
    return data


def without_pictures(path):
    """Is there something at `path` that needs no preparing: a file, or a folder of arrays?"""
    path = Path(path)
    return path.exists() and not (path.is_dir() and not any(path.glob("*.npy"))
                                  and any(p.suffix.lower() in PICTURES for p in path.iterdir()))


def folder(path, shape, mean, deviation, crop):
    arrays = sorted(path.glob("*.npy"))
    pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
    if arrays:
        return np.concatenate([fitting(array(p), shape, p) for p in arrays])
    if not pictures:
        raise IllFormed(f"{path}: holds neither .npy files nor pictures ({', '.join(PICTURES)})")
    return np.stack([picture(p, shape, mean, deviation, crop) for p in pictures])


def picture(path, shape, mean, deviation, crop):
    try:
        from PIL import Image
    except ImportError:
        raise IllFormed(f"{path.parent}: pictures need Pillow; pip install 'refq[images]', or give .npy files") from None
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise IllFormed(f"{path.parent}: the network takes {shape}, which pictures cannot fill; give .npy files")
    channels, height, width = shape
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB" if channels == 3 else "L")
    except OSError as e:
        raise Corrupt(f"{path}: not a picture that can be read: {e}") from None
    short = int(min(height, width) / crop)
    scale = short / min(image.size)
    image = image.resize(tuple(max(short, round(side * scale)) for side in image.size), Image.Resampling.BICUBIC)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    pixels = np.asarray(image.crop((left, top, left + width, top + height)), np.float32).reshape(height, width, channels)
    return ((pixels / 255 - np.float32(mean)) / np.float32(deviation)).transpose(2, 0, 1)
