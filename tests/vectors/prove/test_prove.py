"""Prove: every input is met once, in order; the first difference is named whatever the schedule; what is refused."""
import shutil
from itertools import product

import digits
import numpy as np
import pytest
from click.testing import CliRunner

from refq import dialects, ops
from refq.cli.commands.prove import command
from refq.errors import IllFormed, RefqError, Unsupported
from refq.vectors.prove import prove as proving
from refq.vectors.prove import shards
from refq.vectors.prove.constants import built
from refq.vectors.prove.domain import Domain
from refq.vectors.prove.prove import prove

FOURS = {"x": "i4", "w": "u4"}


def domain(role, dialect="tflite", widths=None, shape=None, which=1):
    op, _, row = proving.played(role, dialects.load(dialect))
    row = proving.narrowed(op, row, widths or {})
    sizes = proving.shaped(op, row, shape or {})
    sets = built(op, row, sizes)
    return Domain(op, row, sizes, sets[min(which, len(sets) - 1)])


def test_a_domain_holds_every_tuple_once():
    """All pairs of an addition, all tuples of two 4-bit activations by two 4-bit weights, in order."""
    d = domain("add", widths={"a": "i4", "b": "u4"})
    operands = d.operands(0, d.total)
    assert list(zip(operands["a"].tolist(), operands["b"].tolist())) == list(product(range(-8, 8), range(16)))
    d = domain("matmul", widths=FOURS, shape={"k": 2})
    operands = d.operands(0, d.total)
    assert d.total == 16 ** 4 and operands["x"].dtype == np.int8
    assert operands["x"].tolist() == [list(t) for t in product(range(-8, 8), repeat=2)]
    assert operands["w"].tolist() == [list(t) for t in product(range(16), repeat=2)]
    assert d.input(0x1234) == {"x": [-7, -6], "w": [3, 4]}


@pytest.mark.parametrize("role, widths", [
    ("add", {"a": "i4"}), ("matmul", FOURS), ("batch_matmul", FOURS), ("conv2d", FOURS), ("gelu", {}), ("clip", {}),
    ("argmax", {"q": "i4"}), ("mean", {"q": "i4"}), ("softmax", {"q": "i4"}), ("layernorm", {"q": "i4"}),
    ("rescale", {"acc": "i16"})])
def test_parts_are_the_whole(role, widths):
    """Whatever is cut into shards has the same operands as the domain in one piece."""
    d = domain(role, "tosa" if role == "mean" else "tflite", widths)
    whole, third = d.spec(d.operands(0, d.total)), d.total // 3 // d.inner * d.inner
    for name, y in whole.items():
        parts = [d.spec(d.operands(a, b))[name] for a, b in ((0, third), (third, d.total))]
        flat = [p.reshape(n, -1) for p, n in zip(parts, (third, d.total - third))]
        np.testing.assert_array_equal(np.concatenate(flat), y.reshape(d.total, -1))


PROVED = ("matmul", "batch_matmul", "conv2d", "mean", "clip", "argmax", "rescale", "rescale_float32", "add", "add_float32",
          "table", "shiftmax", "shiftgelu", "ilayernorm")
"""Operations whose whole domain narrow codes make small enough to enumerate; the others have windows, tables of their own or
floats for operands."""


@pytest.mark.parametrize("dialect", digits.SPINE)
def test_small_domains_are_proved(dialect):
    """Every role that computes, under every dialect, on narrow codes: kernel and spec agree on all of them."""
    d = dialects.load(dialect)
    for role, part in d.roles.items():
        widths = {"acc": "i12"} if part.op.startswith("rescale") else {}
        widths |= {k: "i4" for k in ("x", "w", "a", "b") if hasattr(part.row, k)}
        if part.op in PROVED:
            proof = prove(role, d, widths=widths)
            assert proof.passed and proof.met == sum(p["inputs"] for p in proof.parts) >= 256, str(proof)


def altered(monkeypatch, op, wrong):
    """refq's own kernel of `op`, wrong where wrong(operands, y) makes it so."""
    module = ops.load(op)
    right = module.kernel

    def kernel(row):
        run = right(row)

        def altered(*operands):
            run(*operands)
            wrong(operands, operands[-1])
        return altered

    monkeypatch.setattr(module, "kernel", kernel)


def test_the_first_difference_is_named(monkeypatch):
    """A kernel that is wrong for two pairs of codes: the earlier one is shown, with what was expected."""
    def wrong(operands, y):
        a, b = operands[:2]
        y[(a == 5) & (b == 7) | (a == 5) & (b == -3)] ^= 1

    altered(monkeypatch, "add", wrong)
    proof = prove("add", constants=["ma=1073741824 sa=31 mb=1073741824 sb=31 mo=1073741824 so=49"])
    assert not proof.passed
    wrong = proof.difference
    assert wrong["input"] == {"a": 5, "b": -3} and wrong["number"] == 133 * 256 + 125
    assert wrong["got"]["y"] == wrong["expected"]["y"] ^ 1
    assert str(proof).startswith("WRONG: input 34,173 of 65,536 differs") and proof.json()["passed"] is False


def test_one_wrong_accumulator_of_the_sweep_is_found(monkeypatch):
    """In the sweep of 2**32 accumulators one that is wrong is found, and named."""
    place = 123_456_789

    def wrong(operands, y):
        y[operands[0] == place] ^= 1

    altered(monkeypatch, "rescale", wrong)
    d = domain("rescale")
    start = (place + 2 ** 31) >> 16 << 16
    right, job = (shards.Job(d, s, s + 2 ** 18, None, None) for s in (start - 2 ** 18, start))
    assert shards.prove(right).difference is None
    found = shards.prove(job).difference
    assert found["input"] == {"acc": place} and found["number"] == place + 2 ** 31


def test_the_sweep_meets_the_spec_too():
    """Thresholds stand for the spec only beside it: all of one block of 256, and both sides of every change."""
    d = domain("rescale", which=2)
    outcome = shards.prove(shards.Job(d, 2 ** 31 - 2 ** 24, 2 ** 31 + 2 ** 24, None, None))
    assert outcome.met == 2 ** 25 and outcome.difference is None
    assert outcome.by_spec >= 2 * 2 ** 16 + 2
    codes = np.repeat(np.array([3, 4, 4, 6], np.int8), shards.BLOCK // 4)
    assert shards.sampled(codes, 1).tolist() == [16383, 16384, 49151, 49152]
    assert len(shards.sampled(codes, 0)) == shards.BLOCK


def test_processes_agree_with_a_thread(monkeypatch):
    """Two processes prove what one thread proves."""
    monkeypatch.setattr(proving, "TRIVIAL", 0)
    two = prove("gelu")
    assert two.workers == 2 and two.passed and two.met == 1024


def test_what_cannot_be_proved_is_refused():
    """One sentence each, with the number of inputs and what is possible."""
    cases = (({"op": "rescale_wide"}, IllFormed, r"281,474,976,710,656 inputs.*--row acc=i32: 4,294,967,296"),
             ({"op": "matmul", "shape": {"k": 3}}, IllFormed, "--shape k=1: 65,536"),
             ({"op": "arrange"}, Unsupported, "nothing to prove"), ({"op": "reshape"}, IllFormed, "no operation"),
             ({"op": "softmax_gemmlowp", "dialect": "tosa"}, IllFormed, "plays no role"),
             ({"op": "add", "shape": {"k": 2}}, IllFormed, "no such axis"),
             ({"op": "add", "widths": {"ties": "floor"}}, IllFormed, "the dialect's own"),
             ({"op": "add", "constants": ["ma=1"]}, IllFormed, "no sa"),
             ({"op": "rescale", "constants": ["mult=1 shift=99"]}, IllFormed, "allowed is"),
             ({"op": "rescale", "constants": ["mul=1"]}, IllFormed, "did you mean mult"))
    for asked, kind, said in cases:
        with pytest.raises(kind, match=said):
            prove(**asked)


def test_another_refq_on_a_worker_is_refused():
    """A worker whose sources differ would prove something else."""
    with pytest.raises(RefqError, match="another refq"):
        shards.prove(shards.Job(domain("gelu"), 0, 256, None, "0" * 32))


def test_the_verb():
    """Status 0 and PROVED; a refused option is a sentence."""
    done = CliRunner().invoke(command, ["add", "--row", "a=i4", "--row", "b=i4"])
    assert done.exit_code == 0 and done.output.startswith("PROVED: 1,024 inputs, 0 differences")
    assert isinstance(CliRunner().invoke(command, ["add", "--shape", "k"]).exception, IllFormed)


KERNEL = """
    #include <stdint.h>
    int32_t requantize(const int16_t *acc, const int64_t *mult, const int8_t *shift, int32_t zp, int32_t n, int8_t *y) {
        for (int32_t i = 0; i < n; i++) {
            int64_t high = ((int64_t)acc[i] * mult[0] + (1ll << 30)) >> 31, half = 1ll << (shift[0] - 32);
            int64_t v = ((high + half - (AWAY && high < 0)) >> (shift[0] - 31)) + zp;
            y[i] = v < -128 ? -128 : v > 127 ? 127 : v;
        }
        return 0;
    }
"""
TOML = """
    unit = ["rescale.*"]
    library = "r.so"
    build = ["gcc", "-O2", "-shared", "-fPIC", "-DAWAY=%d", "-o", "r.so", "r.c"]
    prototype = '''int32_t requantize(const int16_t *acc, const int64_t *mult, const int8_t *shift, int32_t zp, int32_t n,
                                      int8_t *y)'''
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc builds the kernels")
def test_a_kernel_of_a_device(tmp_path):
    """A C kernel over every 16-bit accumulator: the right one is proved; of ties up the first tie is the difference."""
    (tmp_path / "r.c").write_text(KERNEL)
    toml, asked = tmp_path / "kernel.toml", {"widths": {"acc": "i16"}, "constants": ["mult=1073741824 shift=34 zp=-3"]}
    toml.write_text(TOML % 1)
    proof = prove("rescale", kernel=toml, workers=1, **asked)
    assert proof.passed and proof.met == 65536 and str(toml) in proof.subject
    toml.write_text(TOML % 0)
    proof = prove("rescale", kernel=toml, workers=1, **asked)
    acc = np.arange(-2 ** 15, 2 ** 15)
    away, up = (np.clip(((((acc * 2 ** 30 + 2 ** 30 >> 31) + 4 - away * (acc < -1)) >> 3) - 3), -128, 127) for away in (1, 0))
    assert proof.difference["input"]["acc"] == acc[np.argmax(away != up)]
