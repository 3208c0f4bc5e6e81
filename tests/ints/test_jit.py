"""The compile cache is right: races, edited words, damaged files, places that cannot be written."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refq
from refq.ints import jit as jitting

PACKAGE = Path(refq.__path__[0])

ROWS = """
import sys
import numpy as np
from refq.ops.rescale import Row, kernel, spec
from refq.ints import rounding
acc = np.arange(-40, 40, dtype=np.int32).reshape(-1, 1)
operands = acc, 0, np.array([2 ** 30]), np.array([32], np.int8), 0
names = rounding.names[4:9]
names = names[int(sys.argv[1]):] + names[:int(sys.argv[1])]
for name in names:
    row = Row(ties=name)
    out = np.empty((80, 1), np.int8)
    kernel(row)(*operands, out)
    assert np.array_equal(out, spec(*operands, row)), name
print("right")
"""

ONE_WORD = """
import numpy as np
from refq.ints import jit, rounding
word = rounding.word("half_up")
@jit.jit()
def kernel(x): return word(x, 1)
print(kernel(1), sum(kernel.stats.cache_hits.values()), jit.folder())
"""


def python(text, *arguments, root, cache=None, **environment):
    """A new process that runs `text` on the package in `root`."""
    surroundings = {k: v for k, v in os.environ.items() if k != "REFQ_CACHE_DIR"} | environment
    if cache:
        surroundings["REFQ_CACHE_DIR"] = str(cache)
    return subprocess.Popen([sys.executable, "-c", text, *arguments], cwd=root, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=surroundings | {"PYTHONPATH": str(root)})


def answer(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


@pytest.fixture
def root(tmp_path):
    """A folder with a copy of the package: what is edited meanwhile changes nothing here."""
    shutil.copytree(PACKAGE, tmp_path / "copy" / "refq", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


@pytest.fixture
def script(tmp_path):
    """ONE_WORD as a file: what `python` runs in place of it, so that the kernel has a file of its own."""
    file = tmp_path / "one_word.py"
    file.write_text(ONE_WORD)
    return f"import runpy; runpy.run_path({str(file)!r})"


@pytest.mark.slow
def test_processes_that_race_never_run_another_row_s_code(root, tmp_path):
    """Three start together on an empty cache, in different orders; a fourth loads what they left."""
    racing = [python(ROWS, str(start), root=root, cache=tmp_path / "cache") for start in (0, 2, 4)]
    assert [answer(process) for process in racing] == ["right"] * 3
    assert answer(python(ROWS, "0", root=root, cache=tmp_path / "cache")) == "right"
    kernels = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(kernels) == 5 and all(p.name.startswith("rescale-") for p in kernels)


def test_an_edited_word_is_compiled_anew(root, tmp_path, script):
    """Another file than the kernel's is edited."""
    cache = tmp_path / "cache"
    assert answer(python(script, root=root, cache=cache)).startswith("1 0 ")
    assert answer(python(script, root=root, cache=cache)).startswith("1 1 ")
    words = root / "refq" / "ints" / "rounding.py"
    text = words.read_text()
    rule = "return (x >> s) + (((x << 1) >> s) & 1)"
    assert text.count(rule) == 1
    words.write_text(text.replace(rule, rule + " + 40"))
    assert answer(python(script, root=root, cache=cache)).startswith("41 0 ")


def test_a_kernel_from_elsewhere_is_compiled_anew_when_its_file_is_edited(root, tmp_path, script):
    """A user's own word lies outside the digest of refq's sources."""
    assert answer(python(script, root=root, cache=tmp_path / "cache")).startswith("1 0 ")
    file = tmp_path / "one_word.py"
    file.write_text(ONE_WORD.replace("word(x, 1)", "word(x, 1) + 5"))
    assert answer(python(script, root=root, cache=tmp_path / "cache")).startswith("6 0 ")


def test_a_kernel_without_a_file_is_not_cached(root, tmp_path):
    """Typed at a prompt or in a notebook: nothing tells its versions apart."""
    for _ in range(2):
        assert answer(python(ONE_WORD, root=root, cache=tmp_path / "cache")).startswith("1 0 ")
    assert not [p for p in (tmp_path / "cache").rglob("kernel-*") if p.is_file()]


def test_a_damaged_cache_file_is_compiled_anew(root, tmp_path, script):
    """Truncated, emptied, or with one bit changed; and it is repaired."""
    cache = tmp_path / "cache"
    assert answer(python(script, root=root, cache=cache)).startswith("1 0 ")
    file, = (p for p in cache.rglob("kernel-*") if p.is_file())
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (whole[:len(whole) // 2], b"", bytes(flipped)):
        file.write_bytes(damaged)
        assert answer(python(script, root=root, cache=cache)).startswith("1 0 ")
        assert file.stat().st_size == len(whole)
    assert answer(python(script, root=root, cache=cache)).startswith("1 1 ")


def test_nothing_that_can_be_written_still_computes(root, tmp_path, script):
    """Home, cache and temporary folder below a regular file, where not even root can write."""
    file = tmp_path / "file"
    file.write_text("")
    below = str(file / "below")
    held = answer(python(script, root=root, cache=below, HOME=below, TMPDIR=str(tmp_path)))
    assert held.startswith(f"1 0 {tmp_path}{os.sep}refq-")
    nowhere = "import tempfile; tempfile.tempdir = " + repr(below) + "; " + script
    assert answer(python(nowhere, root=root, cache=below, HOME=below)) == "1 0 None"


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    """Machine code is loaded from the cache, so another user's folder is passed over."""
    monkeypatch.setenv("REFQ_CACHE_DIR", str(tmp_path))
    assert tmp_path in jitting.folder.__wrapped__().parents
    monkeypatch.setattr(os, "getuid", lambda: 4242, raising=False)
    assert jitting.folder.__wrapped__() is None


def factory(condition):
    if condition:
        def word(x):
            return x + 1
    else:
        def word(x):
            return x + 2
    return word


def closing_over(value):
    def word(x):
        return x + value
    return word


def test_a_kernel_s_identity_tells_words_apart():
    """Same name and code with other constants; the same text closed over other values, arrays and words."""
    assert jitting.name_of(factory(True)) != jitting.name_of(factory(False))
    assert jitting.name_of(lambda x: x + 1) != jitting.name_of(lambda x: x + 2)
    long = np.zeros(5000, np.int64)
    other = long.copy()
    other[2500] = 1
    values = [1, 2, 1.0, "1", (1, 2), long, other, long.astype(np.int32), factory(True), factory(False), np.int64,
              closing_over(1), closing_over(2), (long, 1), (other, 1)]
    names = [repr(jitting.name_of(closing_over(value))) for value in values]
    assert len(set(names)) == len(names)
    assert names == [repr(jitting.name_of(closing_over(value))) for value in values]
