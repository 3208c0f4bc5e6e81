"""The embedded network and its images are what they are said to be."""
import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

from refq import embedded


def test_there_are_360_test_images_and_256_for_calibration():
    """Images are uint8 (n 8 8) with ink from 0 to 16, one label each, and no two sets share an image."""
    images, labels, calibration = embedded.images(), embedded.labels(), embedded.calibration()
    assert (images.shape, labels.shape, calibration.shape) == ((360, 8, 8), (360,), (256, 8, 8))
    assert {a.dtype for a in (images, labels, calibration)} == {np.dtype(np.uint8)}
    assert images.max() == calibration.max() == 16
    assert np.bincount(labels).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    assert not {i.tobytes() for i in images} & {i.tobytes() for i in calibration}


def test_embedded_arrays_cannot_be_written():
    """They are handed out more than once, so nobody may change them for the next."""
    with pytest.raises(ValueError, match="read-only"):
        embedded.images()[0, 0, 0] = 1


def test_the_images_are_scikit_learns_digits(need):
    """Test and calibration images are those of the split that the docstring of tools/train_digits.py tells."""
    digits = need("sklearn.datasets").load_digits()
    split = need("sklearn.model_selection").train_test_split
    train, test, _, labels = split(digits.images, digits.target, test_size=360, stratify=digits.target, random_state=0)
    assert np.array_equal(embedded.images(), test)
    assert np.array_equal(embedded.labels(), labels)
    assert np.array_equal(embedded.calibration(), train[:256])


def test_both_files_hold_the_same_weights():
    """Every tensor of the safetensors file is in the ONNX file: under its name, or transposed by torch's exporter."""
    weights = load_file(embedded.network())
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(embedded.exported()).graph.initializer}
    found = {a.tobytes() for a in stored.values()} | {a.T.tobytes() for a in stored.values() if a.ndim == 2}
    assert sum(a.size for a in weights.values()) == 136138
    assert [name for name, a in weights.items() if a.tobytes() not in found] == []


def test_the_float_network_knows_97_percent(need):
    """The network as onnxruntime computes it in float32 gets at least 350 of 360 images right."""
    config = json.loads(embedded.path("digits/config.json").read_text())
    images = (embedded.images()[:, None].astype(np.float32) - np.float32(config["mean"])) / np.float32(config["std"])
    session = need("onnxruntime").InferenceSession(embedded.exported(), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"image": images})[0]
    assert (logits.argmax(1) == embedded.labels()).sum() >= 350


def test_the_embedded_data_is_small():
    """Everything that travels with the package stays below 1.5 MiB."""
    files = embedded.path("images.npz").parent.rglob("*")
    assert sum(f.stat().st_size for f in files if f.is_file()) < 3 << 19
