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
from refq.ints import rounding

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


EDITED = '''
import os, sys
import numpy as np
import refq.machine.dot                     # its kernels make this version's folder
from refq.ints import jit
if sys.argv[1] == "edit":
    words = os.path.join("refq", "ints", "exponential.py")
    text = open(words).read()
    with open(words, "w") as file:
        file.write(text.replace("max(x + (x >> 1) - (x >> 4), n * x0)", "max(x + (x >> 1) - (x >> 3), n * x0)"))
from refq.ops import shiftmax
from refq.ints.width import I16
row, q, p = shiftmax.Row(out=I16), np.array([[0, -8, -16, -64]], np.int8), np.empty((1, 4), np.int16)
shiftmax.kernel(row)(q, -16, p)
print(np.array_equal(p, shiftmax.spec(q, -16, row)), jit.folder())
if sys.argv[1] == "edit":
    with open(words, "w") as file:
        file.write(text)
'''


def test_a_source_edited_while_a_process_starts_poisons_nothing(root, tmp_path):
    """An editor saves after the sources were digested and before a module is imported; then undoes it."""
    cache = {"root": root, "cache": tmp_path / "cache", "PYTHONDONTWRITEBYTECODE": "1"}
    edited, folder = answer(python(EDITED, "edit", **cache)).split()
    assert edited == "False"                # the kernel's word was edited, the spec's was not
    assert answer(python(EDITED, "as it was", **cache)).split() == ["True", folder]
    assert len([p for p in Path(folder).iterdir() if p.name.startswith("shiftmax-")]) == 2


def test_old_versions_make_room(tmp_path, monkeypatch):
    """The folders used last stay, the new one among them; nothing else in the cache is touched."""
    monkeypatch.setenv("REFQ_CACHE_DIR", str(tmp_path))
    old = [tmp_path / f"0.{n}.0-{n:032x}" for n in range(jitting.KEPT + 3)]
    for age, path in enumerate(reversed(old)):
        path.mkdir()
        (path / "kernel-0").write_text("")
        os.utime(path, (10**9 - age, 10**9 - age))
    others = [tmp_path / "mine", tmp_path / "0.61.0-note", tmp_path / "0.61.0-abc"]
    for path in others[:2]:
        path.mkdir()
    others[2].write_text("")
    new = jitting.folder.__wrapped__()
    kept = [new, *old[-jitting.KEPT + 1:]]
    assert sorted(tmp_path.iterdir()) == sorted(kept + others)
    (tmp_path / f"0.1.0-{1:032x}").mkdir()
    assert jitting.folder.__wrapped__() == new and len(list(tmp_path.iterdir())) == jitting.KEPT + 4


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


def with_globals(text, **names):
    """The function `f` of a text, in a module of its own."""
    names["__name__"] = "somewhere"
    exec(compile(text, __file__, "exec"), names)
    return names["f"]


def test_a_kernel_s_identity_follows_what_it_calls():
    """Words, kernels and numbers of its module, to any depth; through modules of refq as well."""
    calls = "def g(x): return h(x) + N\ndef f(x): return g(x)"
    words = [lambda x: x + 1, lambda x: x + 2, jitting.jit()(factory(True)), jitting.jit(fastmath=True)(factory(True)),
             closing_over(1), closing_over(2)]
    found = [with_globals(calls, h=h, N=n) for h in words for n in (1, 2)]
    names = [repr(jitting.name_of(f)) for f in found]
    assert len(set(names)) == len(names) and names == [repr(jitting.name_of(f)) for f in found]
    assert not [n for n in names if " at 0x" in n]
    through = with_globals("def f(x): return rounding.half_up(x, 1)", rounding=rounding)
    assert repr(rounding.half_up.__code__.co_code) in repr(jitting.name_of(through))


def test_words_that_call_themselves_have_a_name():
    """By their globals, by their closure, and in a ring."""
    def closes(x):
        return x and closes(x - 1)

    ring = "def g(x): return x and f(x - 1)\ndef f(x): return x and g(x - 1)"
    own = with_globals("def f(x): return x and f(x - 1)")
    other = with_globals("def f(x): return x and f(x - 2)")
    names = [repr(jitting.name_of(f)) for f in (closes, own, other, with_globals(ring), with_globals(ring.replace("1", "2", 1)))]
    assert len(set(names)) == len(names)
