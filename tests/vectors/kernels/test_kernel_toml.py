"""A kernel.toml is read as it is meant, or refused with the file and the field."""
import shutil

import numpy as np
import pytest
import small

from refq.errors import Corrupt, IllFormed, RefqError
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.kernels.kernel_toml import read_toml
from refq.vectors.kernels.prototype import prototype
from refq.vectors.units import mismatch, units


@pytest.mark.parametrize("swap,words", [
    (("unit = ", "units = "), "'units'"), (('"*fc?"', '"*fc9"'), "no run of steps.*no step is '.*fc9'"),
    (('["*fc?", ', '["fc1.rescale", '), "no run of steps"), (("const int8_t *x", "int8_t x"), "passed by pointer"),
    (("int32_t matmul", "string_t matmul"), "string_t"), (("int8_t *y)", "int8_t *y"), "prototype"),
    (("[arguments.lo]", "[arguments.low]"), "did you mean lo"), (("lowest", "bottom"), "nothing derived"),
    (("const int8_t *x", "const int8_t *input"), "'input' is nothing of unit"),
    (("const int32_t *mult", "const int16_t *mult"), "int16 cannot hold"),
    (("int8_t *y", "int8_t *z"), "'z' is nothing of unit"), (("time_limit = 20", "time_limit = true"), "time_limit"),
    (('derived = "highest"', "value = 1\nsize = 'n'"), "contradict"), (('"gcc"', '"no-such-cc"'), "no-such-cc"),
    (('derived = "folded_bias"', "layout = 'm ->'"), "layout"), (("unit = ", "unit = = "), "TOML"),
    (("time_limit = 20", "time_limit = 0"), "time_limit is 0"), (("time_limit = 20", f"time_limit = {10**30}"), "time_limit"),
    (('"folded_bias"', '"folded_bias"\nvalue = 1'), "derived and value contradict"),
    (('"folded_bias"', '"folded_bias"\nsize = "n"'), "derived and size contradict"),
    (("[arguments.lo]", "[arguments.x]\npad = 300\n[arguments.lo]"), "pad is 300, which int8 cannot hold"),
    (('derived = "lowest"', f"value = {10**30}"), "which int32 cannot hold"),
    (("[arguments.lo]", "[arguments.y]\nsize = 'n'\n[arguments.lo]"), "'?y.*: it is a result, and takes no size"),
    (('derived = "lowest"', 'layout = "n"'), "passed by value, and takes no layout"),
    ((", int8_t *y)", ", const int8_t *y)"), "no result, so there is nothing to compare")])
def test_descriptions_refused(pack, place, swap, words, changed):
    """A kernel.toml that cannot be meant is refused with the file and the field."""
    if not shutil.which("gcc"):
        (place / "matmul_int8.so").write_bytes(b"")
    with pytest.raises((IllFormed, Corrupt, RefqError), match=words) as refused:
        verify_kernel(pack, changed(swap))
    assert "kernel.toml" in str(refused.value) and "\n" not in str(refused.value)


def test_no_description(pack, tmp_path):
    with pytest.raises(IllFormed, match="no such file"):
        read_toml(tmp_path / "kernel.toml")


def test_prototypes():
    """Pointers, values, const, return types and line breaks are read."""
    made = prototype("\n unsigned char f(const  float *a,\n int8_t const *b, size_t n, long *restrict y);", "here")
    assert made.name == "f" and made.returns == np.uint8
    assert [(a.name, a.dtype.name, a.way) for a in made.arguments] == [
        ("a", "float32", "in"), ("b", "int8", "in"), ("n", "uint64", "value"), ("y", "int64", "out")]
    assert prototype("void f(int n)", "here").returns is None


@pytest.mark.parametrize("text,dtype,way", [
    ("int8_t y[]", "int8", "out"), ("const int8_t x[16]", "int8", "in"), ("int8_t const x[static 4]", "int8", "in"),
    ("int8_t y [n * 4]", "int8", "out"), ("int8_t const *const x", "int8", "in"), ("int8_t *const y", "int8", "out"),
    ("int8_t *__restrict y", "int8", "out"), ("const float*__restrict__ const x", "float32", "in"),
    ("const unsigned char * restrict x", "uint8", "in"), ("const int32_t n", "int32", "value"),
    ("int const n", "int32", "value"), ("int8_t*constant", "int8", "out"), ("int8_t *restricted", "int8", "out")])
def test_arguments_of_prototypes(text, dtype, way):
    """Arrays, const on either side of the star, and restrict in each spelling are read as C reads them."""
    (made,) = prototype(f"void f({text})", "here").arguments
    assert (made.dtype.name, made.way) == (dtype, way) and made.name in ("x", "y", "n", "constant", "restricted")


@pytest.mark.parametrize("text", ["int8_t **y", "int8_t *y[]", "int8_t y[4][4]", "int8_t *", "y", "", "void", "void *y",
                                  "struct s x", "int8_t *y, int8_t *y", "int8_t y[", "int8_t y z *"])
def test_prototypes_refused(text):
    """What is no plain pointer, array or number is refused in one sentence."""
    with pytest.raises(IllFormed, match="prototype") as refused:
        prototype(f"void f({text})", "here")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("patterns,words", [
    (["*.rescael"], r"no step is '\*.rescael'; did you mean '\*.rescale' or "),
    (["fc1", "fc1.rescal"], "no step is 'fc1.rescal'; did you mean 'fc1.rescale' or"),
    (["QQQ"], "no step is 'QQQ'; there are fc1, fc1.rescale, fc2, "),
    (["fc1.rescale", "fc1"], "'fc1.rescale' matches, but no 'fc1' follows it: write the steps in the program's order"),
    (["fc1", "fc1.rescale", "fc2.rescale"], "'fc1.rescale' matches, but no 'fc2.rescale' follows it")])
def test_units_that_match_nothing(patterns, words):
    """A unit that fits nowhere is told the nearest steps, or which pattern does not follow which."""
    with pytest.raises(IllFormed, match=words):
        units(small.program(), patterns, "here")


def test_many_steps_are_not_all_named():
    """Of a big program no more than a dozen steps are named, where none is near; several that follow are counted."""
    class Big:
        steps = [type("Step", (), {"name": f"blocks.{i}.mlp.gelu"}) for i in range(500)]
    assert mismatch(Big, ["*.gleu"], 0, 0) == "no step is '*.gleu'; did you mean '*.gelu' or '*.mlp.gelu'?"
    assert mismatch(Big, ["QQQ"], 0, 0).endswith("blocks.11.mlp.gelu ... (500 in all)")
    assert "'*.gelu' matches, but 2 steps '*' follow it" in mismatch(Big, ["*.gelu", "*"], 1, 2)


def test_a_folder_is_no_kernel_toml(tmp_path):
    """A folder given for the kernel.toml is told so."""
    with pytest.raises(IllFormed, match="is a folder; give the kernel.toml in it"):
        read_toml(tmp_path)
