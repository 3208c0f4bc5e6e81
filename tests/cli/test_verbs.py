"""What each verb says and writes when all is well."""
import os
import signal
import subprocess
import sys

import nets
import numpy as np
import pytest
from load.drawn import Sketch, written
from safetensors.numpy import save_file

from refq import dialects, embedded, ops, recipes
from refq import read as read_pack
from refq.ints import rounding

VERBS = ("golden", "run", "verify", "show", "diff", "rounding")
MAIN = "from refq.cli import main; main(prog_name='refq')"


def child(code, *arguments, folder, **options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_help_names_every_verb(refq):
    """refq --help lists the verbs, each verb's help its options with their defaults."""
    said = refq("--help").out
    assert all(f"\n  {verb} " in said for verb in VERBS)
    assert refq("-h").out == said
    for verb in VERBS:
        text = refq(verb, "--help").out
        assert text.startswith(f"Usage: refq {verb}") and "--json" in text
    text = refq("golden", "--help").out
    assert all(word in text for word in (*recipes.names(), "tflite", ".toml", "[default: 16]", "[default: int8]"))


def test_version(refq):
    """The version is that of the package."""
    import refq as package
    assert package.__version__ in refq("--version").out


def test_golden_in_a_pipe(tmp_path):
    """`refq golden` with pipes: the summary on stdout, nothing at all on stderr; again: the next free name, the same hash."""
    hashes = []
    for name in ("golden-digits-int8-tflite", "golden-digits-int8-tflite-2"):
        process = child(MAIN, "golden", "--cases", "2", folder=tmp_path)
        out, err = process.communicate()
        assert process.returncode == 0 and err == "" and "\r" not in out and "\x1b" not in out
        said = dict(line.split(maxsplit=1) for line in out.splitlines() if line)
        assert said["agreement"].split()[1:3] == ["of", "360"] and "borrowed" in said and "ties" in said["seen"]
        assert f"refq verify {name}" in out
        hashes.append(next(line.split()[-1] for line in out.splitlines() if line.startswith("pack hash")))
        pack = read_pack(tmp_path / name)
        pack.check()
        assert pack.hash == hashes[-1] and pack.cases == 2
    assert hashes[0] == hashes[1] and sorted(os.listdir(tmp_path)) == [name.removesuffix("-2"), name]


def test_golden_of_a_model(refq, made, tmp_path):
    """A network of one's own: named after model, recipe and dialect; labels give accuracy; the mean options are for pictures."""
    np.save("labels.npy", np.zeros(3, np.int64))
    said = refq("golden", made / "model.onnx", "--data", made / "images.npy", "--labels", "labels.npy", "--dialect", "tosa",
                "--cases", "1", "--seed", "7").out
    assert "golden-model-int8-tosa" in said and "of 3" in said and "images right" in said
    assert read_pack(tmp_path / "golden-model-int8-tosa").manifest["seed"] == 7


def test_golden_as_json(refq_json, made, tmp_path):
    """--json says the same to programs; --calibrate takes other images; an empty folder may be filled."""
    (tmp_path / "pack").mkdir()
    np.save("other.npy", np.ones((1, 3, 8, 8), np.float32))
    model = made / "model.onnx"
    report = refq_json("golden", model, "--data", made / "images.npy", "--calibrate", "other.npy", "--dialect", "tosa",
                       "--cases", "1", "--out", "pack")
    pack = read_pack(tmp_path / "pack")
    assert report["pack_hash"] == pack.hash and report["program_hash"] == pack.manifest["program_hash"]
    assert report["steps"] == len(pack.program.steps) and report["cases"] == 1 and report["images"] == 3
    assert report["borrowed"]["layernorm"] == "ivit" and report["events"] == pack.events
    assert report["bytes"] == sum(f.stat().st_size for f in (tmp_path / "pack").rglob("*") if f.is_file())
    assert report["agreement"] <= 3 and "float_right" not in report


def test_a_zero_channel_is_said(refq, tmp_path):
    """A layer with an output channel of zero weights runs, and the summary says so with the scale."""
    s = Sketch()
    weight = np.random.default_rng(0).standard_normal((4, 12))
    weight[1] = 0
    parts = s.constant("fc.weight", weight), s.constant("fc.bias", np.ones(4))
    y = s.add("Gemm", s.add("Reshape", "images", s.ints(-1, 12)), *parts, transB=1)
    network = written(s.model(y, ("n", 3, 2, 2)), tmp_path)
    np.save("x.npy", nets.images(nets.load(network), 2))
    said = refq("golden", network, "--data", "x.npy", "--dialect", "tosa").out
    assert "fc.w: 1 output channel has no weights but 0 (scale 1 where the bias is 0 too)" in said


def test_what_the_loader_assumed_is_said(refq, tmp_path):
    """Notes of the loader are in the summary."""
    (tmp_path / "digits.safetensors").write_bytes(embedded.network().read_bytes())
    np.save("x.npy", embedded.as_input(embedded.images()[:2]))
    said = refq("golden", "digits.safetensors", "--data", "x.npy", "--dialect", "tosa", "--cases", "1").out
    assert "note " in said and "by convention" in said


def test_classes_as_output(refq, refq_json, tmp_path):
    """A network that ends in ArgMax gives classes: they are compared as they are."""
    s = Sketch()
    x = s.dense(s.add("Reshape", "images", s.ints(-1, 192)), "fc", 5, 192)
    network = written(s.model(s.add("ArgMax", x, axis=1, keepdims=0)), tmp_path)
    images = nets.images(nets.load(network), 6)
    np.save("x.npy", images)
    exact = nets.evaluate(nets.load(network), images)["logits"]
    np.save("labels.npy", exact.astype(np.int64))
    report = refq_json("golden", network, "--data", "x.npy", "--labels", "labels.npy", "--dialect", "tosa", "--out", "pack")
    assert report["float_right"] == 6 and report["agreement"] == report["integer_right"] >= 5
    assert "6 images" in refq("run", "pack", "--input", "x.npy").out


def test_run_on_a_pack(refq, refq_json, made, tmp_path):
    """A pack runs on images, on codes, by both engines: the same codes; --out writes them."""
    pack = read_pack(made / "pack")
    images = np.load(made / "images.npy")
    codes = pack.program.encode(images)
    np.save("codes.npy", codes)
    expected = pack.program.run(codes)[pack.program.outputs[0]]
    for arguments in (["--input", made / "images.npy"], ["--input", "codes.npy"], ["--input", "codes.npy", "--engine", "spec"]):
        report = refq_json("run", made / "pack", *arguments, "--out", "y.npy")
        assert np.array_equal(np.load("y.npy"), expected) and report["shape"] == list(expected.shape)
        assert [t["class"] for t in report["top"]] == expected.argmax(1).tolist() and not report["calibrated"]
    assert "3 images" in refq("run", made / "pack", "--input", "codes.npy").out


def test_run_on_a_network(refq, made):
    """A float network is calibrated on the images that it runs on, and that is said."""
    said = refq("run", made / "model.onnx", "--input", made / "images.npy", "--dialect", "tosa").out
    assert "calibrated on the same 3 images" in said and "(int8, tosa)" in said


def dump(made, change=None):
    """What a device shows: every tensor of all cases, one array (n *shape) each."""
    pack = read_pack(made / "pack")
    cases = [pack.case(i) for i in range(pack.cases)]
    tensors = {name: np.stack([c[name] for c in cases]) for name in pack.recorded}
    if change:
        tensors[change].flat[0] ^= 1
    return tensors


def test_verify_passes_with_0(refq, refq_json, made):
    """A right dump: status 0, in words and in JSON."""
    np.savez("dump.npz", **dump(made))
    assert "pass" in refq("verify", made / "pack", "--against", "dump.npz").out.lower()
    assert refq_json("verify", made / "pack", "--against", "dump.npz")["passed"] is True
    refq("verify", made / "pack", "--against", "dump.npz", "--require", "all")


def test_verify_fails_with_1(refq, refq_json, made):
    """One wrong code: status 1 and the step named; a tolerance accepts it and says so."""
    save_file(dump(made, "blocks.0.fc1"), "dump.safetensors")
    said = refq("verify", made / "pack", "--against", "dump.safetensors", status=1)
    assert "fc1" in said.out and said.err == ""
    report = refq_json("verify", made / "pack", "--against", "dump.safetensors", status=1)
    assert report["passed"] is False
    assert "tolerance" in refq("verify", made / "pack", "--against", "dump.safetensors", "--tolerance", "1").out


def test_verify_a_pack_by_itself(refq, refq_json, made):
    """Without a dump the pack is checked and run anew."""
    assert "pass" in refq("verify", made / "pack").out.lower()
    assert refq_json("verify", made / "pack")["passed"] is True


NAMED = [*dialects.names(), *recipes.names(), *ops.names(), *rounding.names]


@pytest.mark.parametrize("name", NAMED)
def test_show_every_name(refq, refq_json, name):
    """Every dialect, recipe, operation and rounding can be shown, as text and as JSON."""
    assert len(refq("show", name).out.splitlines()) >= 2
    assert refq_json("show", name)


def test_show_lists_all_names(refq, refq_json):
    """Without a name, all of them."""
    said, value = refq("show").out, refq_json("show")
    assert all(name in said for name in NAMED)
    assert value["dialects"] == list(dialects.names()) and value["operations"] == list(ops.names())


def test_show_says_whose_a_role_is(refq):
    """Borrowed roles are shown with their owner, own ones as own, ties as numbers, the source and the register."""
    lines = refq("show", "tflite").out.splitlines()
    assert any(line.startswith("layernorm ") and "borrowed from ivit" in line for line in lines)
    assert any(line.startswith("rescale ") and " own " in line for line in lines)
    assert any(line.startswith("half_away") and line.split()[1:] == ["-3", "-2", "-1", "1", "2", "3"] for line in lines)
    assert "MultiplyByQuantizedMultiplier" in "\n".join(lines) and "i32" in "\n".join(lines)


def test_show_a_file(refq, refq_json, tmp_path):
    """A dialect of one's own, by its file."""
    (tmp_path / "npu.toml").write_text('base = "tosa"\nsource = "chapter 4"\n[rescale]\nties = "half_even"\n')
    assert "chapter 4" in refq("show", "npu.toml").out
    assert refq_json("show", "npu.toml")["roles"]["rescale"]["row"]["ties"] == "half_even"


def test_show_packs_and_networks(refq, refq_json, made):
    """A pack as its steps; a network as its nodes, and with images as the program that it becomes."""
    pack = read_pack(made / "pack")
    said, value = refq("show", made / "pack").out, refq_json("show", made / "pack")
    assert pack.hash in said and all(step.name in said for step in pack.program.steps)
    assert [s["name"] for s in value["steps"]] == [s.name for s in pack.program.steps] and value["pack_hash"] == pack.hash
    nodes = refq_json("show", made / "model.onnx")["nodes"]
    assert all(node["name"] in refq("show", made / "model.onnx").out for node in nodes)
    arguments = "show", made / "model.onnx", "--data", made / "images.npy", "--dialect", "tosa"
    assert [s["name"] for s in refq_json(*arguments)["steps"]] == [s.name for s in pack.program.steps]
    assert "requant" not in refq(*arguments).out


SLOWLY = """
import signal
import sys
from refq.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)        # a shell's background job ignores it, and so would this
from refq.graph import store
write = store.write
def slowly(path, data):
    write(path, data)
    if "cases" in path.parts:
        print("now", flush=True)
        sys.stdin.read()
store.write = slowly
main(["golden", *sys.argv[1:]], prog_name="refq")
"""


def test_killed_in_the_middle(refq, made, tmp_path):
    """After kill -9 while a case is written there is no pack of that name, and the next run records it."""
    arguments = [str(made / "model.onnx"), "--data", str(made / "images.npy"), "--dialect", "tosa", "--out", "pack"]
    with child(SLOWLY, *arguments, folder=tmp_path, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "pack").exists()
    refq("golden", *arguments)
    read_pack(tmp_path / "pack").check()


def test_interrupted(made, tmp_path):
    """Ctrl-C leaves nothing behind, says one line, and is neither a success nor a difference."""
    arguments = [str(made / "model.onnx"), "--data", str(made / "images.npy"), "--dialect", "tosa", "--out", "pack"]
    with child(SLOWLY, *arguments, folder=tmp_path, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == "refq: interrupted\n"
    assert process.returncode == 130 and list(tmp_path.iterdir()) == []
