"""Bad input on the command line: one sentence on stderr, status 2, nothing half-written."""
import shutil
from pathlib import Path

import numpy as np
import pytest
from load.drawn import Sketch, vit, written
from onnx import TensorProto, numpy_helper
from safetensors.numpy import load_file, save_file

from refq import embedded


@pytest.fixture
def model(made, tmp_path):
    return Path(shutil.copy(made / "model.onnx", tmp_path))


def changed(path, change):
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))
    return path


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_files_that_are_no_networks(golden, tmp_path, suffix):
    """Missing, a folder, empty, text, of another kind: each has its sentence with the file's name."""
    path = tmp_path / f"m{suffix}"
    assert "no such file" in golden(path) and path.name in golden(path)
    for content in (b"", b"hello", bytes(1000), b"\xff" * 1000):
        path.write_bytes(content)
        assert path.name in golden(path)
    path.unlink()
    path.mkdir()
    assert path.name in golden(path)
    (tmp_path / "m.txt").write_text("hello")
    assert "m.txt" in golden("m.txt")


def test_truncated_files(golden, model, tmp_path):
    """The first half of an .onnx and of a .safetensors file."""
    for path in (model, shutil.copy(embedded.network(), tmp_path / "d.safetensors")):
        changed(path, lambda data: data[:len(data) // 2])
        assert path.name in golden(path)


@pytest.mark.parametrize("place, bit", [(0, 0), (3, 7), (7, 7), (8, 1), (40, 0), (60, 3), (200, 2)])
def test_a_flipped_bit_of_a_safetensors_header(golden, tmp_path, place, bit):
    """A bit flipped in the header's length or text is refused with the file's name."""
    path = tmp_path / "digits.safetensors"
    shutil.copy(embedded.network(), path)

    def flip(data):
        data[place] ^= 1 << bit
        return data

    assert "digits.safetensors" in golden(changed(path, flip))


@pytest.mark.parametrize("location, said", [("gone.bin", "missing"), ("../out.bin", "outside"), ("/etc/hostname", "outside")])
def test_external_data(golden, tmp_path, location, said):
    """External data that is missing or lies outside the model's folder: the tensor is named."""
    model = vit(17, np.float32)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    line = golden(written(model, tmp_path))
    assert said in line and tensor.name in line


def test_unsupported_operations_are_all_listed(golden, tmp_path):
    """Two operations that refq does not do, with the names of all their nodes."""
    s = Sketch(dtype=np.float32)
    x = s.add("Einsum", s.add("LSTM", "images", name="rnn"), name="e1", equation="ij->ij")
    line = golden(written(s.model(s.add("Einsum", x, name="e2", equation="ij->ij")), tmp_path))
    assert "Einsum (e1, e2)" in line and "LSTM (rnn)" in line


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(golden, tmp_path, value):
    """The tensor is named, in ONNX and in safetensors."""
    model = vit(17, np.float32)
    tensor = next(t for t in model.graph.initializer if t.name == "head.weight")
    weights = numpy_helper.to_array(tensor).copy()
    weights[1, 2] = value
    tensor.CopyFrom(numpy_helper.from_array(weights, "head.weight"))
    assert "head.weight" in golden(written(model, tmp_path))
    tensors = load_file(embedded.network())
    tensors["blocks.1.mlp.fc1.bias"] = np.full_like(tensors["blocks.1.mlp.fc1.bias"], value)
    save_file(tensors, tmp_path / "d.safetensors")
    assert "blocks.1.mlp.fc1.bias" in golden("d.safetensors")


IMAGES = {
    "empty set": (np.zeros((0, 3, 8, 8)), "x.npy: holds no image"),
    "another shape": (np.zeros((2, 3, 8, 9)), "(n, 3, 8, 8)"),
    "one axis less": (np.zeros((3, 8)), "(n, 3, 8, 8)"),
    "a number": (np.array(3.0), "(n, 3, 8, 8)"),
    "bool": (np.zeros((2, 3, 8, 8), bool), "bool"),
    "complex": (np.zeros((2, 3, 8, 8), complex), "complex"),
    "text": (np.full((2, 3, 8, 8), "a"), "U1"),
    "NaN": (np.full((2, 3, 8, 8), np.nan), "image 0 holds NaN"),
    "infinite": (np.full((2, 3, 8, 8), np.inf), "infinity"),
    "huge": (np.full((2, 3, 8, 8), 1e300), "tensor "),
}


@pytest.mark.parametrize("verb", ["golden", "run", "show"])
@pytest.mark.parametrize("name", IMAGES)
def test_images_of_a_wrong_kind(refused, model, verb, name):
    """Empty, of another shape or dtype, not finite: for every verb that takes images."""
    images, said = IMAGES[name]
    np.save("x.npy", images)
    assert said in refused(verb, model, "--input" if verb == "run" else "--data", "x.npy")


def test_files_that_are_no_images(refused, made, model, tmp_path):
    """Missing, text, empty, truncated, a folder of nothing, arrays that do not say which: each with its name."""
    (tmp_path / "void").mkdir()
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "zero.npy").write_bytes(b"")
    (tmp_path / "zip.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "half.npy").write_bytes((made / "images.npy").read_bytes()[:500])
    np.savez("two.npz", a=np.zeros(1), b=np.zeros(1))
    np.savez("none.npz")
    np.savez("object.npz", x=np.array([{}], object))
    for name in ("gone.npy", "void", "text.npy", "zero.npy", "zip.npz", "half.npy", "two.npz", "none.npz", "object.npz"):
        assert name in refused("golden", model, "--data", name)
        assert name in refused("golden", model, "--data", made / "images.npy", "--calibrate", name)


@pytest.mark.parametrize("labels, said", [(np.zeros(4, int), "3 images have 3"), (np.zeros(3), "float64"), (None, "gone.npy")])
def test_labels(golden, model, labels, said):
    """Labels of another number or kind, or none at all."""
    if labels is not None:
        np.save("labels.npy", labels)
    assert said in golden(model, "--labels", "gone.npy" if labels is None else "labels.npy")


@pytest.mark.parametrize("option", [["--crop", "0"], ["--crop", "-1"], ["--crop", "nan"], ["--crop", "1e-9"], ["--crop", "2"],
                                    ["--deviation", "0"], ["--deviation", "nan"], ["--mean", "nan"], ["--mean", "inf"]])
def test_pictures_cannot_be_prepared_so(need, refused, model, tmp_path, option):
    """A crop, mean or deviation that makes no sense names the option."""
    (tmp_path / "pictures").mkdir()
    need("PIL.Image").new("RGB", (20, 30)).save(tmp_path / "pictures" / "a.png")
    assert option[0].strip("-") in refused("golden", model, "--data", "pictures", *option)


def test_names_offer_the_nearest(refused, golden, model):
    """An unknown recipe, dialect, or thing to show."""
    assert "did you mean int8" in golden(model, "--recipe", "int9")
    assert "did you mean tflite" in golden(model, "--dialect", "tflit")
    assert "did you mean tosa" in refused("show", "tossa")
    assert "did you mean half_even" in refused("show", "half_evn")
    assert "mine.toml" in golden(model, "--dialect", "mine.toml")
    assert "zzz" in refused("show", "zzz")
    assert "no recipe 'nosuch'; there are fqvit, int8" in golden(model, "--recipe", "nosuch")
    assert "no dialect 'int8'; there are" in golden(model, "--dialect", "int8")
    assert "bounds the error" in refused("show", "tosa_inexact") and "not published" in refused("show", "qnn")


def test_a_recipe_that_the_dialect_forbids(golden, model, tmp_path):
    """Both are named."""
    (tmp_path / "npu.toml").write_text('base = "tosa"\nweights = [8]\n')
    line = golden(model, "--recipe", "w4a8", "--dialect", "npu.toml")
    assert "recipe w4a8" in line and "dialect npu" in line and "4 bits" in line


@pytest.mark.parametrize("text", ["", "base = tosa", 'base = "tosa"\n[rescale]\ntise = 3',
                                  'base = "tosa"\n[rescale]\nop = ["x"]'])
def test_dialect_files(refused, golden, model, tmp_path, text):
    """A damaged file of a dialect: by its name, whatever is asked."""
    (tmp_path / "npu.toml").write_text(text)
    assert "npu.toml" in golden(model, "--dialect", "npu.toml") and "npu.toml" in refused("show", "npu.toml")


def test_a_register_too_narrow(golden, model, tmp_path):
    """An accumulator that could overflow: step, channel and width."""
    (tmp_path / "npu.toml").write_text('base = "tosa"\n[accumulators]\n8 = "i18"\n16 = "i48"\n')
    line = golden(model, "--dialect", "npu.toml")
    assert "step " in line and "channel" in line and "i18" in line


@pytest.mark.parametrize("out", ["full", "file", "file/inside"])
def test_places_for_a_pack(refused, made, model, tmp_path, out):
    """A folder that is not empty, a file, a place inside a file: refused, and what was there is untouched."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    assert out in refused("golden", model, "--data", made / "images.npy", "--out", out)


@pytest.mark.parametrize("option", [["--cases", "0"], ["--cases", "-1"]])
def test_no_cases(golden, model, option):
    """A pack of no cases."""
    assert "at least 1" in golden(model, *option)


def test_what_goes_together(refused, made, model):
    """Data without a model, a model without data, two questions at once."""
    assert "--data" in refused("golden", "--data", made / "images.npy")
    assert "--data" in refused("golden", model)
    assert "--kernel" in refused("verify", made / "pack", "--against", "x", "--kernel", "y")


def test_a_full_disk(refused, golden, model, monkeypatch):
    """No room while recording: a sentence, and neither a pack nor a part of one."""
    import errno

    from refq.graph import store

    def full(path, data):
        path.write_bytes(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(store, "write", full)
    assert "No space left" in golden(model)


def test_values_that_leave_float32(golden, tmp_path):
    """Values that become NaN, activations and weights too large for any scale: the tensor or the layer is named."""
    draws = {"logits": lambda s, x: s.add("Sqrt", s.add("Mul", s.dense(x, "fc", 4, 192), s.number(-1.0))),
             "tensor mul": lambda s, x: s.dense(s.add("Mul", x, s.number(1e300)), "fc", 4, 192),
             "small": lambda s, x: s.add("Gemm", s.add("Mul", s.add("Relu", x), s.number(1e-300)),
                                         s.constant("small.weight", np.full((4, 192), 1e300)), transB=1)}
    for name, draw in draws.items():
        s = Sketch()
        assert name in golden(written(s.model(draw(s, s.add("Reshape", "images", s.ints(-1, 192)))), tmp_path))
