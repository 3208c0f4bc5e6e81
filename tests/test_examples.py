"""Examples are true: those in docstrings, and those of README.md."""
import doctest
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

import pytest

import refq
from refq import dialects
from refq.vectors.pack import read

PUBLIC = ("load", "quantize", "Program", "record", "read", "verify")


def found():
    """Every docstring of refq that holds an example, by name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [import_module(m.name) for m in walk_packages(refq.__path__, "refq.")]
    examples = {test.name: test for module in (refq, *modules) for test in finder.find(module) if test.examples}
    return dict(sorted(examples.items()))


EXAMPLES = found()


@pytest.mark.parametrize("name", EXAMPLES)
def test_docstring(name, tmp_path, monkeypatch, capsys):
    """What the example says is what comes."""
    monkeypatch.chdir(tmp_path)
    complaints = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(EXAMPLES[name], out=complaints.append)
    assert result.attempted and not result.failed, "".join(complaints)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_have_examples(name):
    """What the command line does can be done from Python, with an example each."""
    module = refq.PUBLIC[name]
    assert any(example == f"{module}.{name}" or example.startswith(f"{module}.{name}.") for example in EXAMPLES)


def test_public_names_are_there():
    """Every name that `refq` promises can be had, others raise AttributeError."""
    assert all(getattr(refq, name) is not None for name in refq.__all__) and set(refq.__all__) == set(dir(refq))
    with pytest.raises(AttributeError, match="frobnicate"):
        refq.frobnicate  # noqa: B018


def blocks(root):
    """(language, text) of every fenced block of README.md."""
    path = root / "README.md"
    if not path.exists():
        pytest.skip("README.md is not there yet")
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


def test_python_blocks_of_the_readme(root, place, monkeypatch):
    """They run, in order, in one folder."""
    monkeypatch.chdir(place)
    names, ran = {}, 0
    for language, text in blocks(root):
        if language == "python":
            exec(compile(text, "README.md", "exec"), names)
            ran += 1
    assert ran


def test_transcripts_of_the_readme(root, tmp_path):
    """Every `$ refq ...` line of a block ends with status 0."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = 0
    for _, text in blocks(root):
        for line in re.findall(r"^\$ (refq .*)$", text, re.MULTILINE):
            arguments = shlex.split(line, comments=True)[1:]
            process = subprocess.run([sys.executable, "-c", "from refq.cli import main; main(prog_name='refq')", *arguments],
                                     cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert process.returncode == 0, line + process.stderr
            ran += 1
    assert ran


def test_dialects_of_the_readme(root, tmp_path):
    """Every TOML block is a dialect that can be read."""
    made = [text for language, text in blocks(root) if language == "toml"]
    for text in made:
        (tmp_path / "my_npu.toml").write_text(text)
        assert dialects.load(str(tmp_path / "my_npu.toml")).roles
    assert made


def test_commands_of_the_readme_exist(root):
    """Every verb and option in a block is one that `refq` has."""
    from refq.cli import main
    known = {name: {o for p in main.get_command(None, name).params for o in p.opts} for name in main.list_commands(None)}
    seen = 0
    for _, text in blocks(root):
        for line in re.findall(r"(?:^|&& )\$? ?(refq [a-z].*)$", text, re.MULTILINE):
            verb, *rest = shlex.split(line, comments=True)[1:]
            assert verb in known, line
            assert {word for word in rest if word.startswith("--")} <= known[verb], line
            seen += 1
    assert seen


def test_the_pack_of_the_readme_can_be_read(place):
    """What the Python blocks recorded is a whole pack."""
    for manifest in place.rglob("manifest.json"):
        read(manifest.parent).check()
