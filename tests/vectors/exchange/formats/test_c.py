"""The generated C compiles without a warning, passes a right kernel and fails wrong ones; checksums name the tile."""
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.ints.width import I16, I64
from refq.vectors.exchange import checksum, cnames
from refq.vectors.exchange.exported import export

FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
RIGHT = (Path(__file__).parent / "rescale.c").read_text()


@pytest.fixture
def built(tool, tmp_path):
    """built(folder, kernel) compiles main.c with a kernel; gives exit status and output of what came out."""
    gcc = tool("gcc", "gcc")

    def run(folder, kernel, *more):
        (folder / "kernel.c").write_text(kernel)
        subprocess.run([gcc, *FLAGS, *more, "main.c", "kernel.c", "-o", "main"], cwd=folder, check=True)
        done = subprocess.run([folder / "main"], capture_output=True, text=True)
        return done.returncode, done.stdout

    return run


WRONG = {"truncates": ("(left > half ||", "((left < 0 && left > half) ||"),
         "no zero point": ("+ zp;", "+ 0 * zp;"),
         "last row": ("i < n; i++", "i < n - 1; i++"), "wraps": ("v < -128 ? -128 : v > 127 ? 127 : v", "v"),
         "one channel": ("mult[j]", "mult[0]")}


def test_a_right_kernel_passes(pack, out, built):
    """Exit status 0, and the lines printed are checksums that the pack has."""
    folder, _ = out(pack, "c", unit="fc1,fc1.rescale")
    status, said = built(folder, RIGHT)
    assert status == 0 and said.splitlines()[-1] == "# PASS"
    (folder / "checksums.txt").write_text(said)
    report = checksum.compare(pack, folder / "checksums.txt")
    assert report.passed and report.compared == 3
    head = (folder / "vectors.h").read_text()
    assert "static const int8_t refq_fc1_w[42] = {" in head and "#define REFQ_X_0000_SIZE 35" in head
    assert "high half_up, ties half_away" in head and "mult / 2**shift is s_in / s_y" in head


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_fails(pack, out, built, name):
    """Exit status 1, the first mismatch with its place, and checksums that compare finds wrong."""
    folder, _ = out(pack, "c", unit="fc1,fc1.rescale")
    old, new = WRONG[name]
    assert old in RIGHT
    status, said = built(folder, RIGHT.replace(old, new))
    assert status == 1 and re.search(r"# first mismatch: fc1 \+ fc1.rescale, case 000\d, hidden\[\d+\]: -?\d+ ", said)
    assert said.splitlines()[-1].startswith("# FAIL: ")
    (folder / "checksums.txt").write_text(said)
    assert not checksum.compare(pack, folder / "checksums.txt").passed


def test_what_is_not_written_fails(pack, out, built):
    """A kernel that writes nothing holds 0xAA, and 0x55 when called again."""
    folder, _ = out(pack, "c", unit="fc1,fc1.rescale", cases=1)
    body = RIGHT[RIGHT.index("void refq_kernel"):].split("{")[0]
    unused = "".join(f"(void){n}; " for n in re.findall(r"(\w+)[,)]", body))
    status, said = built(folder, f'#include "kernel.h"\n{body}{{ {unused}}}\n')
    assert status == 1 and "hidden[0]: -86 (and 85 when called again)" in said


def test_a_whole_program(pack, out, built):
    """Without a unit the function takes the inputs and gives the outputs; what lies between is in recorded.h, which
    compiles too."""
    folder, index = out(pack, "c")
    assert {e["tensor"] for e in index["entries"] if e["file"] == "recorded.h"} == {"fc1.acc", "hidden", "fc2.acc"}
    kernel = ('#include "recorded.h"\n#include "vectors.h"\n#include "kernel.h"\n#include <string.h>\n'
              "void refq_kernel(const int8_t *t_x, int8_t *t_logits, int32_t *t_top)\n{\n    int i;\n" + "".join(
                  f"    if (!memcmp(t_x, refq_x_000{i}, sizeof refq_x_000{i})) {{\n        for (i = 0; i < 50; i++) "
                  f"t_logits[i] = refq_logits_000{i}[i];\n        for (i = 0; i < 5; i++) t_top[i] = refq_top_000{i}[i];\n"
                  "    }\n"
                  for i in range(3)) + "}\n")
    assert built(folder, kernel)[0] == 0
    assert built(folder, kernel.replace("t_top[i] = refq", "t_top[i] = 1 + refq"))[0] == 1


def test_units_of_one_kind(pack, out, built):
    """Several units are called by one prototype, where they have one."""
    folder, _ = out(pack, "c", unit="fc?,fc?.rescale")
    assert built(folder, RIGHT)[0] == 0 and (folder / "main.c").read_text().count('"fc2 + fc2.rescale"') == 3
    tensors = pack.program.tensors | {"hidden": replace(pack.program.tensors["hidden"], width=I16)}
    with pytest.raises(Unsupported, match="units fc1.rescale and fc2.rescale take different arguments"):
        out(replace(pack, program=replace(pack.program, tensors=tensors)), "c", unit="fc?.rescale")


@pytest.mark.parametrize("value,bits,text", [(-(1 << 31), 32, "(-2147483647 - 1)"), (-128, 8, "-128"),
                                             (-(1 << 63), 64, "(-9223372036854775807LL - 1)"), (5, 64, "5LL")])
def test_lowest_numbers(value, bits, text):
    """The lowest number of a type has no literal in C."""
    assert cnames.literal(value, np.dtype(f"int{bits}")) == text


@given(arrays(np.int64, st.integers(2, 50), elements=st.integers(I64.lo, I64.hi)), st.data())
def test_checksums_see_swaps_and_changes(codes, data):
    """One changed code, or two different ones that change places, change a checksum; the formula is Python's integers."""
    for bits in (8, 16, 32, 64):
        some = codes.astype(f"int{bits}")
        words = [int(v) % (1 << bits) for v in some]
        words = words if bits < 64 else [part for w in words for part in (w % (1 << 32), w >> 32)]
        true = sum(words) % (1 << 64), sum((i + 1) * w for i, w in enumerate(words)) % (1 << 64)
        assert checksum.checksum(some) == true
        i, j = data.draw(st.permutations(range(len(some))))[:2]
        other = some.copy()
        other[[i, j]] = other[[j, i]]
        assert checksum.checksum(other) != true or some[i] == some[j]
        other = some.copy()
        other[i] ^= 1 << data.draw(st.integers(0, bits - 2))
        assert checksum.checksum(other) != true


def test_checksums_name_the_tile(pack, out):
    """A file of the right checksums passes; the first wrong tile in program order is named."""
    folder, index = out(pack, "checksums", tile=8)
    file = folder / "checksums.txt"
    assert checksum.compare(pack, file).passed and len(index["entries"]) == 18
    text = file.read_text()
    line = next(row for row in text.splitlines() if row.startswith("hidden 0001 2 "))
    file.write_text(text.replace(line, line[:-1] + ("0" if line[-1] != "0" else "1")))
    report = checksum.compare(pack, file)
    assert not report.passed and report.first[:3] == ("hidden", 1, "2")
    assert "first wrong is hidden, case 0001, tile 2" in str(report)
    assert report.json()["wrong"][0]["tile"] == "2"


@pytest.mark.parametrize("text,said", [
    ("", "holds no checksum"), ("x 0 all 1", "a line is: tensor case tile"), ("x 9 all 1 2", "case 9; the pack has 3"),
    ("y 0 all 1 2", "'y' is no tensor"), ("x 0 99 1 2", "has no tile 99"), ("x 0 all 1 2\nx 0 all 1 2", "was there before"),
    ("x 0 all g 2", "line 1")])
def test_checksums_refused(pack, tmp_path, text, said):
    """What is no checksum of the pack is refused, with the line."""
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises((IllFormed, Corrupt), match=said):
        checksum.compare(pack, tmp_path / "c.txt")


def test_the_header_compiles(pack, out, tool):
    """checksum.h gives the same two numbers on this machine's C compiler, for every container."""
    folder, _ = out(pack, "checksums", cases=1)
    rows = "".join(f"    {{ {k}_t a[3] = {{1, {top}, 3}}; refq_checksum(a, 3, sizeof a[0], &s, &w); "
                   'printf("%llx %llx\\n", (unsigned long long)s, (unsigned long long)w); }\n'
                   for k, top in (("int8", "-128"), ("uint16", "65535"), ("int32", "-5"), ("int64", "-77LL")))
    (folder / "t.c").write_text('#include <stdio.h>\n#include "checksum.h"\nint main(void)\n{\n    uint64_t s, w;\n'
                                f"{rows}    return 0;\n}}\n")
    subprocess.run([tool("gcc", "gcc"), *FLAGS, "t.c", "-o", "t"], cwd=folder, check=True)
    said = subprocess.run([folder / "t"], capture_output=True, text=True).stdout
    true = [checksum.checksum(np.array(a, d)) for a, d in (([1, -128, 3], "i1"), ([1, 65535, 3], "u2"), ([1, -5, 3], "i4"),
                                                           ([1, -77, 3], "i8"))]
    assert said.split() == [f"{v:x}" for pair in true for v in pair]


def test_export_is_refused_by_name(pack, tmp_path):
    """A tile without a code."""
    with pytest.raises(IllFormed, match="--tile 0"):
        export(pack, "checksums", tmp_path / "new", tile=0)
