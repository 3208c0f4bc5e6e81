"""Sparse layouts: every quad, every mask of a corner, every nibble; and what is damaged is refused by row and entry."""
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import layouts
from refq.errors import Corrupt, IllFormed

NAMES = ("two_four", "two_four_cutlass", "bitmap", "csr", "bcsr", "bcsr_tiled")
PATTERNS = {(): 14, (3,): 14, (2,): 14, (1,): 9, (0,): 8, (0, 1): 4, (0, 2): 8, (1, 2): 9, (0, 3): 12, (1, 3): 13, (2, 3): 14}
"""Kept places of a quad to its nibble, from the table in torch's source."""
TRUNCATED = {"near": {(0, 1, 2): (0, 1), (0, 1, 3): (0, 1), (0, 2, 3): (0, 3), (1, 2, 3): (1, 3), (0, 1, 2, 3): (0, 1)},
             "last": {(0, 1, 2): (0, 2), (0, 1, 3): (0, 1), (0, 2, 3): (0, 2), (1, 2, 3): (1, 2), (0, 1, 2, 3): (0, 2)}}


def layout(name, **fields):
    return layouts.load(name).Layout(**fields)


@pytest.mark.parametrize("name", NAMES)
def test_published_bytes(name):
    """What is recorded of tools and papers is what pack makes, and unpacks to the codes."""
    checks = layouts.load(name).CHECK
    assert checks
    for made, codes, parts in checks:
        packed = made.pack(np.array(codes))
        assert set(packed) == set(parts) == set(made.PARTS)
        for part, words in parts.items():
            assert packed[part].dtype == words.dtype, part
            np.testing.assert_array_equal(packed[part], words)
        np.testing.assert_array_equal(made.unpack(parts, np.shape(codes)), codes)


@pytest.mark.parametrize("fill", ["near", "last"])
def test_every_quad_of_small_codes(fill):
    """All 4**4 quads of two-bit codes in one tensor: exact where at most two are kept; else what the rule drops is dropped."""
    quads = np.array([*product((0, 1, 2, 3), repeat=4)])
    made = layout("two_four", bits=2, signed=False, fill=fill, more="truncate")
    back = made.unpack(made.pack(quads), quads.shape)
    for quad, got in zip(quads.tolist(), back.tolist()):
        some = tuple(i for i in range(4) if quad[i])
        kept = TRUNCATED[fill].get(some, some)
        assert got == [c if i in kept else 0 for i, c in enumerate(quad)]


def test_every_pattern_has_its_nibble_in_every_slot():
    for word, bits in ((32, 8), (16, 16)):
        quads = word // 4
        for some, nibble in PATTERNS.items():
            codes = np.zeros((quads, 4 * quads), int)
            for slot in range(quads):
                codes[slot, [4 * slot + i for i in some]] = 7
            made = layout("two_four", word=word, bits=bits)
            meta = made.pack(codes)["meta"].astype(np.int64)[:, 0]
            rest = 0xEEEEEEEE & (1 << word) - 1
            for slot in range(quads):
                assert meta[slot] == rest & ~(15 << 4 * slot) | nibble << 4 * slot
            np.testing.assert_array_equal(made.unpack(made.pack(codes), codes.shape), codes)


def test_more_than_two_are_refused_by_place():
    codes = np.zeros((3, 12), int)
    codes[1, 4:7] = 1
    with pytest.raises(IllFormed, match="row 1 keeps 3 codes in columns 4 to 7"):
        layout("two_four").pack(codes)


def test_every_nibble():
    """Of the 16 nibbles six are legal; each other one is refused by its quad and row, and two places are never the same."""
    made = layout("two_four")
    for nibble in range(16):
        for quad in range(8):
            meta = np.array([[0xEEEEEEEE & ~(15 << 4 * quad) | nibble << 4 * quad]], np.uint32)
            parts = {"values": np.arange(1, 17, dtype=np.int8)[None], "meta": meta}
            if nibble & 3 < nibble >> 2:
                codes = made.unpack(parts, (1, 32))[0, 4 * quad:4 * quad + 4]
                assert [codes[nibble & 3], codes[nibble >> 2]] == [2 * quad + 1, 2 * quad + 2]
                assert (codes != 0).sum() == 2
            else:
                with pytest.raises(Corrupt, match=f"quad {quad} of row 0 has the metadata {nibble:04b}"):
                    made.unpack(parts, (1, 32))


CORNER = {"bitmap": {}, "csr": {}, "bcsr": {}, "bcsr_tiled": {"tile": 4}}


@pytest.mark.parametrize("name", CORNER)
def test_every_mask_of_a_corner(name):
    """All masks of 2 rows of 8, stacked: empty rows first, in the middle and last, full ones, runs at edges of tiles."""
    bits = np.arange(1 << 16)[:, None] >> np.arange(16) & 1
    codes = (bits * (np.arange(16) * 7 - 50 | 1)).astype(np.int8).reshape(-1, 8)
    made = layout(name, **CORNER[name])
    np.testing.assert_array_equal(made.unpack(made.pack(codes), codes.shape), codes)


ANY = [("bitmap", {"word": 16}), ("bitmap", {"word": 32, "signed": False, "zero": 128}), ("csr", {"bits": 16}), ("bcsr", {}),
       ("bcsr", {"block": (8, 1), "signed": False, "zero": 7}), ("bcsr", {"block": (4, 4)}), ("bcsr_tiled", {"tile": 8}),
       ("csr", {"bits": 1, "signed": False}), ("bitmap", {"bits": 4, "zero": -8}), ("bcsr", {"block": (3, 5), "zero": -1})]


@pytest.mark.parametrize("name, fields", ANY)
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 19), k=st.integers(0, 37), kept=st.sampled_from((0, 0.05, 0.5, 1)), seed=st.integers(0, 99))
def test_exact_both_ways(name, fields, rows, k, kept, seed):
    rng, made = np.random.default_rng(seed), layout(name, **fields)
    codes = np.where(rng.random((rows, k)) < kept, rng.integers(made.lo, made.hi + 1, (rows, k)), made.zero)
    codes[rng.random(rows) < 0.2] = made.zero
    back = made.unpack(made.pack(codes), codes.shape)
    np.testing.assert_array_equal(back, codes)
    assert back.dtype in (np.int8, np.int16)


@pytest.mark.parametrize("name, bits, word, rows", [("two_four", 8, 32, 5), ("two_four", 16, 16, 3), ("two_four", 4, 16, 1),
                                                    ("two_four_cutlass", 8, 32, 32), ("two_four_cutlass", 16, 16, 64)])
@pytest.mark.parametrize("fill", ["near", "last"])
def test_two_of_four_are_exact_both_ways(name, bits, word, rows, fill):
    made = layout(name, bits=bits, word=word, fill=fill, zero=3)
    for k in ((64, 192) if "cutlass" in name else (4, 32, 36, 100)):
        codes = made.drawn(np.random.default_rng(k), (rows, k))
        np.testing.assert_array_equal(made.unpack(made.pack(codes), codes.shape), codes)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cut_off_is_refused(name):
    """Each part one element short, of another type, or missing: a sentence, and never other codes."""
    made = layout(name)
    codes = made.drawn(np.random.default_rng(1), (16, 64))
    parts = made.pack(codes)
    for part, words in parts.items():
        for wrong in (words[:-1], words[..., :-1], words.astype(np.float32), words.astype(np.int64), words[None]):
            with pytest.raises(Corrupt, match=name):
                made.unpack(parts | {part: wrong}, codes.shape)
        with pytest.raises(Corrupt, match=f"no part '{part}'"):
            made.unpack({k: v for k, v in parts.items() if k != part}, codes.shape)


def broken(name, part, index, value, shape=(4, 10)):
    made = layout(name)
    codes = np.zeros(shape, int)
    codes[0, [0, 5]], codes[2, [1, 2, 8]], codes[3, 9] = 3, 4, 5
    parts = made.pack(codes)
    words = parts[part].copy()
    words[index] = value
    return lambda: made.unpack(parts | {part: words}, shape)


@pytest.mark.parametrize("name, part, index, value, said", [
    ("csr", "starts", 0, 1, "row 0 starts at entry 1"), ("csr", "starts", 1, 6, "row 1 starts at entry 6 and ends at 2"),
    ("csr", "starts", 4, 7, "the last row ends at entry 7, and 6 are stored"), ("csr", "columns", 5, 10, "entry 5 of row 3"),
    ("csr", "columns", 0, -1, "entry 0 of row 0 stands at column -1"), ("csr", "columns", 3, 1, "entry 3 of row 2"),
    ("bcsr", "columns", 0, 3, "entry 0 of row of blocks 0"), ("bcsr", "columns", 3, 0, "entry 3 of row of blocks 2"),
    ("bcsr", "values", -1, 1, "the block of row 3 at column 8 holds 1 behind the edge"),
    ("bcsr_tiled", "sums", 2, 11, "the codes of row 2 add up to 12, and 11"),
    ("bcsr_tiled", "starts", 2, 9, "row of a tile 2 starts at entry 9"),
    ("bitmap", "bits", (0, 1), 4, "row 0 has bits behind its 10 places"),
    ("bitmap", "bits", (1, 0), 4, "row 1 has 1 bits, and entries 2 to 2"),
])
def test_what_is_damaged_is_refused(name, part, index, value, said):
    with pytest.raises(Corrupt, match=said):
        broken(name, part, index, value)()


def test_metadata_behind_the_last_quad_is_refused():
    made, codes = layout("two_four"), np.zeros((2, 12), int)
    parts = made.pack(codes)
    parts["meta"][1, 0] |= 4 << 12
    with pytest.raises(Corrupt, match="row 1 has metadata behind its 3 quads"):
        made.unpack(parts, codes.shape)


def test_codes_beyond_their_width_are_refused():
    made, codes = layout("csr", bits=4), np.array([[0, 7]])
    with pytest.raises(IllFormed, match="codes from 0 to 8"):
        made.pack(codes + [[0, 1]])
    with pytest.raises(Corrupt, match="values from 8 to 8"):
        made.unpack(made.pack(codes) | {"values": np.array([8], np.int8)}, codes.shape)
    for wrong in (codes[0], codes.astype(float)):
        with pytest.raises(IllFormed, match="give integers"):
            made.pack(wrong)


@pytest.mark.parametrize("name, fields, said", [
    ("two_four", {"word": 64}, "word is 64"), ("two_four", {"fill": "best"}, "fill is 'best'"),
    ("two_four", {"more": "drop"}, "more is 'drop'"), ("two_four", {"zero": 200}, "zero point of 200"),
    ("bitmap", {"word": 4}, "words of 4 bits"), ("csr", {"bits": 17}, "codes of 17 bits"),
    ("bcsr", {"block": (0, 4)}, "blocks of"), ("bcsr_tiled", {"tile": 6}, "tiles of 6"),
    ("bcsr_tiled", {"zero": 1}, "zero point of 1")])
def test_layouts_that_there_are_not(name, fields, said):
    with pytest.raises(IllFormed, match=said):
        layout(name, **fields)


@pytest.mark.parametrize("name, shape, said", [("two_four", (2, 6), "multiple of 4"), ("two_four_cutlass", (16, 32), "multiples"),
                                               ("two_four_cutlass", (8, 64), "multiples")])
def test_shapes_that_have_no_quads(name, shape, said):
    with pytest.raises(IllFormed, match=said):
        layout(name).pack(np.zeros(shape, int))
    with pytest.raises((Corrupt, IllFormed)):
        layout(name).unpack({}, shape)


@pytest.mark.parametrize("name", NAMES)
def test_identified(name):
    """Codes drawn for a layout are told from every other one that has such parts."""
    for made in layouts.load(name).EVERY:
        codes = layouts.probe(made, (32, 64))
        assert layouts.identify(made.pack(codes), codes) == (layouts.said(name, made),)


@pytest.mark.parametrize("bits, word, rows, kind", [(8, 32, 16, "int8"), (8, 32, 96, "int8"), (16, 16, 32, "float16"),
                                                    (16, 16, 64, "bfloat16")])
def test_torch_makes_the_same_words(bits, word, rows, kind):
    """torch's own conversion on a CPU, codes beyond two of four included, gives the same bits; and reads ours back."""
    torch = pytest.importorskip("torch", reason='needs torch: pip install ".[peers]"')
    peer = pytest.importorskip("torch.sparse._semi_structured_conversions")
    rng = np.random.default_rng(rows)
    made = layout("two_four_cutlass", bits=bits, word=word, more="truncate")
    for kept in (0.2, 0.5, 1):
        codes = np.where(rng.random((rows, 128)) < kept, rng.integers(-9, 10, (rows, 128)), 0)
        values, meta = peer.sparse_semi_structured_from_dense_cutlass(torch.tensor(codes).to(getattr(torch, kind)))
        parts = made.pack(codes)
        np.testing.assert_array_equal(parts["values"], values.to(torch.int16).numpy())
        np.testing.assert_array_equal(parts["meta"].view(f"i{word // 8}"), meta.numpy())
        back = peer.sparse_semi_structured_to_dense_cutlass(values, meta).to(torch.int16).numpy()
        np.testing.assert_array_equal(made.unpack(parts, codes.shape), back)


def test_torch_leaves_its_array_where_words_in_a_row_are_odd():
    """16 rows of 32 codes pass torch's checks, and its exchange of words then leaves the array; ours refuses such a k."""
    torch = pytest.importorskip("torch", reason='needs torch: pip install ".[peers]"')
    peer = pytest.importorskip("torch.sparse._semi_structured_conversions")
    with pytest.raises(RuntimeError, match="out of bounds"):
        peer.sparse_semi_structured_from_dense_cutlass(torch.zeros(16, 32, dtype=torch.int8))
    with pytest.raises(IllFormed):
        layout("two_four_cutlass", bits=8, word=32).pack(np.zeros((16, 32), np.int64))
