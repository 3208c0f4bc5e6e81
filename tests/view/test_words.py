"""Packed words as pictures of their bits, and number formats as their codes."""
import json

import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.ints import minifloat
from refq.view import formats, words

PACKED = [f"{op}:{name}" for op in ("matmul_packed", "matmul_ulppack", "matmul_dsp48") for name in ops.published(op)]


@pytest.mark.parametrize("name", PACKED)
def test_a_picture_has_a_character_for_every_bit(name):
    value, text = words.published(name)
    lines = [line for line in value["words"] if line.startswith(("codes", "product", "sums", "two"))]
    assert len(lines) == 3 and json.dumps(value)
    for line in lines:
        assert len(line[14:]) == int(line[10:14]) and set(line[14:]) <= set(".0123+-") and line in text


def test_the_picture_of_agile_quant():
    """4-bit codes 8 bits apart, products of 8 bits, sums with 8 guard bits each: 291 products fit."""
    told = words.published("matmul_packed:agile_quant_u4")[0]["words"]
    assert told[:3] == ["codes    u16  ....1111....0000", "product  u16  1111111100000000",
                        "sums     u32  ........11111111........00000000"]
    assert told[-1].startswith("with 8 guard bits a field of sums holds 291 products")


def test_other_published_rows():
    """A row with no picture is its operands and fields; one that is not there, or an operation that has none, is refused."""
    assert "e4m3fn" in words.published("quantize_minifloat:e4m3fn")[1]
    with pytest.raises(IllFormed, match="no published row 'nix'; there are agile_quant_u4"):
        words.published("matmul_packed:nix")
    with pytest.raises(IllFormed, match="add has no published rows"):
        words.published("add:nix")


@pytest.mark.parametrize("name", minifloat.names)
def test_formats(name):
    """The ends are those of the codes; every number of a format of up to 8 bits is there, and every line fits 80 columns."""
    f = minifloat.load(name)
    value, text = formats.told(name)
    assert json.loads(json.dumps(value))["largest"] == np.nanmax(f.values[np.isfinite(f.values)])
    assert max(map(len, text.splitlines())) <= 80
    if f.bits <= 8:
        assert np.array_equal([float.fromhex(v) for v in value["values"]], f.values, equal_nan=True)
        counted = text.splitlines()[-1]
        assert len(counted) == formats.LINE and counted[0] != "." and counted[-1] != "."
