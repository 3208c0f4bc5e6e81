"""What the options may say together, empty paths, images that are none, and an output that cannot be written."""
import os
import subprocess
import sys

import numpy as np
import pytest

MAIN = "from refq.cli import main; main(prog_name='refq')"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["show", "tflite"], ["show", "tflite", "--json"], ["--help"], ["show", "--help"]])
def test_output_that_cannot_be_written(arguments):
    """A full disk behind stdout: one sentence and status 2, nothing after it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", MAIN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment)
    assert done.returncode == 2
    assert done.stderr == "refq: standard output cannot be written: No space left on device\n"


def test_a_closed_pipe_is_quiet():
    """`refq show | head` says nothing on stderr."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as closed:
        done = subprocess.run([sys.executable, "-c", MAIN, "show", "tflite"], stdout=closed, stderr=subprocess.PIPE,
                              text=True, env=environment)
    assert done.stderr == ""


def test_no_image(refused, made, tmp_path):
    """An array of no images, alone or in a folder, for a pack, a network and a recording."""
    (tmp_path / "folder").mkdir()
    np.save("x0.npy", np.zeros((0, 3, 8, 8), np.float32))
    np.save("folder/x0.npy", np.zeros((0, 3, 8, 8), np.float32))
    for data in ("x0.npy", "folder"):
        for call in (["run", made / "pack", "--input"], ["run", made / "model.onnx", "--input"],
                     ["golden", made / "model.onnx", "--data"], ["show", made / "model.onnx", "--data"]):
            assert "x0.npy: holds no image; give at least one" in refused(*call, data)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite(refused, made, value):
    """The file and the image are named."""
    images = np.zeros((5, 3, 8, 8), np.float32)
    images[3, 1, 2, 2] = value
    np.save("x.npy", images)
    for call in (["run", made / "pack", "--input"], ["run", made / "model.onnx", "--input"],
                 ["golden", made / "model.onnx", "--data"]):
        assert "x.npy: image 3 holds NaN or an infinity" in refused(*call, "x.npy")


@pytest.mark.parametrize("option", [["--recipe", "w4a8"], ["--dialect", "tflite"], ["--recipe", "int8"]])
def test_a_pack_has_its_own_recipe_and_dialect(refused, made, option):
    """Options for a float network are refused with a pack, also where they say the default."""
    line = refused("run", made / "pack", "--input", made / "images.npy", *option)
    assert option[0] in line and "is a pack, which has its own" in line


@pytest.mark.parametrize("option", ["--mean", "--deviation", "--crop"])
def test_options_of_pictures_without_pictures(refused, made, option):
    """Arrays and the embedded images are not prepared."""
    for call in (["golden"], ["golden", made / "model.onnx", "--data", made / "images.npy"],
                 ["run", made / "pack", "--input", made / "images.npy"], ["show", "tflite"]):
        assert f"{option}: for a folder of pictures" in refused(*call, option, "0.5")
    assert "gone.npy" in refused("run", made / "pack", "--input", "gone.npy", option, "0.5")


def test_options_of_pictures_with_pictures(need, refq, made, tmp_path):
    """With a folder of pictures they are taken."""
    (tmp_path / "pictures").mkdir()
    need("PIL.Image").new("RGB", (20, 30)).save(tmp_path / "pictures" / "a.png")
    said = refq("run", made / "pack", "--input", "pictures", "--mean", "0.4", "--crop", "1").out
    assert said.startswith("1 image through") and "image    0" in said


@pytest.mark.parametrize("option", [["--tolerance", "1"], ["--tolerance", "0"], ["--require", "all"]])
def test_options_of_a_comparison(refused, made, option):
    """A pack by itself is checked exactly; a kernel has no dump to be complete."""
    assert f"{option[0]}: without --against" in refused("verify", made / "pack", *option)
    if option[0] == "--require":
        assert "--require: for a dump" in refused("verify", made / "pack", "--kernel", "kernel.toml", *option)


def test_more_cases_than_images(refq, made):
    """All images are recorded, and that is said where more were asked for; the default asks for nothing."""
    call = "golden", made / "model.onnx", "--data", made / "images.npy", "--dialect", "tosa"
    said = refq(*call, "--cases", "41").out
    assert "note " in said and "41 cases were asked for; there are no more images than the 3 recorded" in said
    assert "asked for" not in refq(*call).out


@pytest.mark.parametrize("wrong", [99, -1])
def test_labels_beyond_the_classes(refused, made, wrong):
    """A class that the network has not."""
    np.save("lab.npy", np.array([0, wrong, 1]))
    line = refused("golden", made / "model.onnx", "--data", made / "images.npy", "--labels", "lab.npy", "--out", "new")
    assert f"lab.npy: holds class {wrong}; the network has " in line


def test_empty_paths(refused, made):
    """What a shell makes of a variable that is not set; above all `verify --against ''` is no check of the pack."""
    assert "WHAT: is empty" in refused("show", "")
    assert "MODEL: is empty" in refused("run", "", "--input", made / "images.npy")
    assert "--input: is empty" in refused("run", made / "pack", "--input", "")
    assert "--out: is empty" in refused("golden", "--out", "")
    for option in ("--against", "--kernel"):
        assert f"{option}: is empty" in refused("verify", made / "pack", option, "")


def test_the_text_of_a_run_is_the_same_every_time(refq, refq_json, made):
    """No time in it; JSON has it."""
    call = "run", made / "pack", "--input", made / "images.npy"
    assert refq(*call).out == refq(*call).out and refq_json(*call)["seconds"] > 0


def test_words_of_the_summary(refq, made):
    """One case is no cases, and no line is too wide for a terminal."""
    said = refq("golden", made / "model.onnx", "--data", made / "images.npy", "--cases", "1", "--out", "pack").out
    assert "recorded          1 case of " in said and "written to        pack " in said
    assert "signal-to-noise ratio of the logits " in said and "(a tflite device may differ there)" in said
    assert max(map(len, said.splitlines())) < 120


def test_words_of_the_help(refq):
    """The verb in one sentence; the choices are named wherever one chooses."""
    assert "Show a pack, a network, or what a name means." in " ".join(refq("--help").out.split())
    for verb in ("golden", "run", "show"):
        said = " ".join(refq(verb, "--help").out.split())
        assert "int8, w8a16, w4a8, fqvit, or a .toml" in said and "ame (refq show lists them) or a .toml file of yours" in said
        assert "Pictures only: pixels in 0..1 become (pixel - mean) / deviation." in said


def test_what_the_command_line_lacks_is_one_sentence(capsys):
    """A missing or unknown option, and an unknown verb, are one sentence and status 2, as every other refusal."""
    from refq.cli import main as command
    for arguments, said in ((["vectors", "rescale"], "missing option '--out'"), (["verify", "--frob"], "no such option"),
                            (["frob"], "no such command 'frob'"), (["golden", "--cases", "x"], "not a valid integer")):
        with pytest.raises(SystemExit) as left:
            command(arguments, prog_name="refq")
        error = capsys.readouterr().err
        assert left.value.code == 2 and error.count("\n") == 1 and error.startswith("refq: ") and said in error.lower()
