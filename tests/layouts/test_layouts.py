"""Layouts of codes: published bytes, the published loops, exact both ways, what is refused, and what each is told from."""
import hashlib

import numpy as np
import oracle_layouts as oracle
import pytest

from refq import layouts
from refq.errors import Corrupt, IllFormed
from refq.ints.width import U8, Width
from refq.layouts import awq, cmix_nn, compressed_tensors, gptq, gptq_zeros, onnx_int2, onnx_int4, q4_0, tflite_int4, xnnpack_qc4w
from refq.layouts.dense import Dense
from refq.layouts.lines import Line
from refq.layouts.loops import packing, unpacking
from refq.ops import pack_codes

DENSE = [(name, layout) for name, layout in layouts.every() if isinstance(layout, Dense)]
called = pytest.mark.parametrize("name, layout", DENSE, ids=[layouts.said(*pair) for pair in DENSE])
rng = np.random.default_rng


def drawn(layout, shape, seed=0):
    return rng(seed).integers(layout.lo, layout.hi + 1, shape)


@pytest.mark.parametrize("name", sorted({name for name, _ in DENSE}))
def test_published_bytes(name):
    for layout, codes, parts in layouts.load(name).CHECK:
        codes = np.array(codes)
        made = layout.pack(codes)
        assert {k: (v.tolist(), v.shape) for k, v in made.items()} == {k: (v.tolist(), v.shape) for k, v in parts.items()}
        assert np.array_equal(layout.unpack(parts, codes.shape), codes)


@called
def test_exact_both_ways_and_one_map_with_the_spec(name, layout):
    for shape in ((3, 5), (1, 1), (0, 5), (5, 0), (32, 64), (64, 96), (33, 7)):
        codes = drawn(layout, shape)
        try:
            parts = layout.pack(codes)
        except IllFormed as e:
            assert "at a time" in str(e)
            continue
        back = layout.unpack(parts, shape)
        assert np.array_equal(back, codes) and back.shape == shape
        lines = layout.lines(layout.line.admit(codes, ""))
        fields = layout.line.kept(lines.astype(np.int64)) & (1 << layout.line.width.bits) - 1
        assert np.array_equal(layout.words(layout.line.placed(fields).astype(np.uint8)), parts[layout.PARTS[0]])


LINES = sorted({pack_codes.PUBLISHED[name].line for name in ("gptq3", "awq", "q4_0", "compressed_tensors")} | {
    Line(Width(6, False), "low_first", "code", 4, 3), Line(Width(3), "high_first", "code", 10, 4),
    Line(U8, block=4, unit=4), compressed_tensors.Layout(5).line}, key=repr)


@pytest.mark.parametrize("line", LINES, ids=str)
def test_lines_are_the_loops_written_again(line):
    for count in (1, 2, 3, 31, 197, 4096):
        codes = rng(count).integers(line.lo, line.hi + 1, (2, count))
        full = [oracle.line(row, line.width.bits, line.order, line.stored, line.block, line.unit) for row in codes.tolist()]
        expected = [row[:line.length(count)] for row in full]
        made, back = np.zeros((2, line.length(count)), np.uint8), np.zeros(codes.shape, line.codes.dtype)
        packing(line)(codes.astype(back.dtype), made)
        assert made.tolist() == expected and not any(sum(row[line.length(count):]) for row in full)
        unpacking(line)(made, back)
        assert np.array_equal(back, codes) and np.array_equal(line.meant(line.taken(made))[:, :count], codes)


def test_the_published_loops():
    codes = rng(1).integers(0, 8, (5, 64))
    words = gptq.Layout(3).pack(codes)["qweight"].view(np.uint32)
    assert words.T.tolist() == [oracle.gptq3(row[:32]) + oracle.gptq3(row[32:]) for row in codes.tolist()]
    zeros = rng(2).integers(1, 9, (32, 3))
    assert gptq_zeros.Layout(3).pack(zeros)["qzeros"].view(np.uint32).tolist() == [
        oracle.gptq3([z - 1 for z in row]) for row in zeros.T.tolist()]
    codes = rng(3).integers(0, 16, (16, 5))
    assert awq.Layout().pack(codes)["qweight"].view(np.uint32).tolist() == [
        [oracle.awq(column[:8]), oracle.awq(column[8:])] for column in codes.T.tolist()]
    for kr in (2, 4, 8, 16):
        row = rng(kr).integers(0, 16, (1, 45))
        assert xnnpack_qc4w.Layout(kr).pack(row)["packed"].tolist() == oracle.qc4w(row[0].tolist(), kr)
    row = rng(5).integers(0, 16, (1, 96))
    assert q4_0.Layout().pack(row)["qs"][0].tolist() == oracle.q4_0(row[0].tolist())
    d = np.array([[1.5, -0.25, 2.0]], np.float16)
    raw = q4_0.blocks(d, q4_0.Layout().pack(row)["qs"])
    assert raw.shape == (1, 54) and raw[0, 18:20].tobytes() == d[0, 1:2].tobytes()
    assert all(np.array_equal(a, b) for a, b in zip(q4_0.apart(raw), (d, q4_0.Layout().pack(row)["qs"]), strict=True))


def test_tiles_of_xnnpack_lie_channel_by_channel():
    codes = rng(0).integers(0, 16, (5, 20))
    packed = xnnpack_qc4w.Layout(4, 8).pack(codes)["packed"]
    full = np.full((8, 24), 8)
    full[:5, :20] = codes
    assert packed.tolist() == [oracle.qc4w(full[n, at:at + 8].tolist(), 4)[t] for at in range(0, 24, 8) for n in range(8)
                               for t in range(4)]
    packed[-1] ^= 1
    with pytest.raises(Corrupt, match="behind the 5 channels"):
        xnnpack_qc4w.Layout(4, 8).unpack({"packed": packed}, (5, 20))


def formula(bits, shape, least=0):
    n, k = np.indices(shape)
    return (7 * n + 3 * k + n * k % 5) % ((1 << bits) - least) + least


RECORDED = {
    ("compressed_tensors", 2, (5, 100), 0): "53ca191907be56af",
    ("compressed_tensors", 3, (5, 100), 0): "6fba3e2ac871a28e",
    ("compressed_tensors", 4, (5, 100), 0): "7a273fe833c704da",
    ("compressed_tensors", 5, (5, 100), 0): "0e32254b6dacf03d",
    ("compressed_tensors", 6, (5, 100), 0): "d8ab3d081d70b93b",
    ("compressed_tensors", 7, (5, 100), 0): "34b1d8bc474466f2",
    ("compressed_tensors", 8, (5, 100), 0): "d5c6b2878d9739b7",
    ("gptq", 2, (32, 64), 0): "5ae723a4dd3df0e8",
    ("gptq_zeros", 2, (32, 2), 1): "6801b7bc73f028bb",
    ("gptq", 3, (32, 64), 0): "05b9f474d848ec89",
    ("gptq_zeros", 3, (32, 2), 1): "09b4d27356c893aa",
    ("gptq", 4, (32, 64), 0): "5376485908923a4a",
    ("gptq_zeros", 4, (32, 2), 1): "a23e16b0ece7b888",
    ("gptq", 8, (32, 64), 0): "33543f34e1400ec5",
    ("gptq_zeros", 8, (32, 2), 1): "0a5f1bc8046feb18",
    ("awq", 4, (32, 64), 0): "128253bdb4f7069c",
    ("awq", 4, (32, 2), 0): "7f72a2eb67c06cbe",
}
"""Of the libraries' own packers: sha256, its first 16 digits, of the words of formula(bits, shape, least)."""


@pytest.mark.parametrize("said", RECORDED, ids=str)
def test_what_the_libraries_packed(said):
    name, bits, shape, least = said
    module = layouts.load(name)
    layout = module.Layout() if name == "awq" else module.Layout(bits)
    codes = formula(bits, shape, least)
    codes = codes - (1 << bits - 1) if name == "compressed_tensors" else codes
    (words,) = layout.pack(codes).values()
    assert hashlib.sha256(words.tobytes()).hexdigest()[:16] == RECORDED[said]


def test_cmix_nn_widens_words_to_pairs():
    codes = np.arange(16).reshape(1, 16)
    layout = cmix_nn.Layout()
    assert layout.registers(layout.pack(codes)).tolist() == [[[[i, i + 4] for i in range(first, first + 4)] for first in (0, 8)]]
    two = cmix_nn.Layout(2)
    assert two.registers(two.pack(codes % 4)).tolist() == [[[[i % 4, (i + 8) % 4] for i in range(8)]]]


ALIKE = (("onnx_int4(signed=True)", "tflite_int4(bits=4)"), ("onnx_int2(signed=True)", "tflite_int4(bits=2)"),
         ("onnx_int4(signed=False)", "cmix_nn(bits=4)"), ("onnx_int2(signed=False)", "cmix_nn(bits=2)"))
"""Names of one map of whole words: TFLite differs in what it reads of padding, CMix-NN in that rows begin with a word."""


def test_every_layout_is_told_from_every_other():
    """By the codes that `probe` gives, over all pairs."""
    for name, layout in DENSE:
        codes, mine = layouts.probe(layout, (64, 96)), layouts.said(name, layout)
        (words,) = layout.pack(codes).values()
        others = {other for pair in ALIKE if mine in pair for other in pair if other != mine}
        assert set(layouts.identify(words, codes)) == {mine} | others
        assert mine in layouts.identify(layout.pack(codes), codes)
    assert layouts.rivals(onnx_int4.Layout(False), np.full((3, 5), 9)) == ()


def bad(match, make):
    with pytest.raises((Corrupt, IllFormed), match=match) as said:
        make()
    assert str(said.value).count("\n") == 0


def test_what_is_refused():
    layout = onnx_int4.Layout(False)
    words = layout.pack(np.array([[1, 2, 3]]))["raw_data"]
    bad("take 2", lambda: layout.unpack({"raw_data": words[:1]}, (1, 3)))
    bad("padding", lambda: layout.unpack({"raw_data": words | 0x10 * np.array([0, 1], np.uint8)}, (1, 3)))
    bad("0 to 15", lambda: layout.pack(np.array([[16]])))
    bad("integers", lambda: layout.pack(np.array([[1.0]])))
    bad("it has raw_data", lambda: layout.unpack({"qweight": words}, (1, 3)))
    bad("its words are uint8", lambda: layout.unpack({"raw_data": words.astype(np.int32)}, (1, 3)))
    bad("padding", lambda: onnx_int2.Layout().unpack({"raw_data": np.array([0xC0], np.uint8)}, (1, 3)))
    loose = tflite_int4.Layout()
    assert loose.unpack({"buffer": np.array([0xF3], np.uint8)}, (1, 1)).tolist() == [[3]]
    words = gptq.Layout().pack(np.zeros((3, 16), int))["qweight"]
    bad("16 codes of 4 bits take 8", lambda: gptq.Layout().unpack({"qweight": words[:1]}, (3, 16)))
    bad("3 lines of words, and 4", lambda: gptq.Layout().unpack({"qweight": words}, (4, 16)))
    bad("two axes", lambda: gptq.Layout().unpack({"qweight": words.reshape(-1)}, (3, 16)))
    bad("packs 8 at a time", lambda: gptq.Layout().pack(np.zeros((3, 12), int)))
    bad("packs 2, 3, 4, 8", lambda: gptq.Layout(5))
    bad("1 to 16", lambda: gptq_zeros.Layout().pack(np.zeros((8, 1), int)))
    bad("or 0 in format v2", lambda: gptq_zeros.Layout(4, 2))
    bad("18, so the data is truncated", lambda: q4_0.apart(np.zeros((1, 17), np.uint8)))
    bad("4 or 2", lambda: tflite_int4.Layout(3))
    bad("8, 4 or 2", lambda: cmix_nn.Layout(3))
    bad("at least 1", lambda: xnnpack_qc4w.Layout(0))
    bad("no whole number", lambda: xnnpack_qc4w.Layout().unpack({"packed": np.zeros(7, np.uint8)}, (1, 16)))
    bad("2 to 8", lambda: compressed_tensors.Layout(9))
    bad("padding", lambda: compressed_tensors.Layout(3, True).unpack({"weight_packed": np.array([[1 << 30]], np.int32)}, (1, 10)))
    bad("did you mean onnx_int4", lambda: layouts.load("onnx_int"))
    bad("even", lambda: Line(gptq.Layout(3).line.width, "interleaved", "code", 5, 2))
    bad("full of whole codes", lambda: Line(gptq.Layout(3).line.width, "halves", "code", 8, 3))
    bad("at most 8 bits", lambda: Line(gptq.Layout(3).line.width, "low_first", "code", 8, 2))
