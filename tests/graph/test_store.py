"""A stored program is the program; a damaged one is refused with the damage named."""
import json
import re
from dataclasses import field, make_dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import ops
from refq.errors import Corrupt, IllFormed
from refq.graph.store import entries, load, program_hash, save
from refq.grids.affine import Affine
from refq.ints.row import alternatives, from_plain, plain
from refq.ints.width import I8


@pytest.fixture
def stored(tmp_path):
    save(small.program(), tmp_path)
    return tmp_path


def edit(folder, change):
    """Load program.onnx, let `change` alter the model, and write it back."""
    model = onnx.load(folder / "program.onnx", load_external_data=False)
    change(model)
    (folder / "program.onnx").write_bytes(model.SerializeToString())


def refusal(folder):
    with pytest.raises(Corrupt) as refused:
        load(folder)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("weights", [I8, small.W4])
def test_round_trip(tmp_path, weights):
    """Saving and loading keeps the hash, every description, every code and what the program computes."""
    program = small.program(weights=weights)
    save(program, tmp_path)
    again = load(tmp_path)
    assert program_hash(again) == program_hash(program)
    assert (again.dialect, again.recipe, again.roles, again.ties) == \
        (program.dialect, program.recipe, program.roles, program.ties)
    for one, other in zip(program.steps, again.steps, strict=True):
        assert (one.name, one.row, one.inputs, one.outputs) == (other.name, other.row, other.inputs, other.outputs)
        assert all(np.array_equal(one.scales[k], other.scales[k]) for k in one.scales)
    for name, codes in program.constants.items():
        assert again.constants[name].dtype == codes.dtype and np.array_equal(again.constants[name], codes)
        assert again.tensors[name].role == program.tensors[name].role
    results, same = program.run(small.images()), again.run(small.images())
    assert all(np.array_equal(results[k], same[k]) for k in results)


def test_standard_readers_accept_it(stored):
    """onnx's checker passes, and onnx reads the constants out of the safetensors file."""
    onnx.checker.check_model(str(stored / "program.onnx"))
    model = onnx.load(stored / "program.onnx")
    program = small.program()
    for proto in model.graph.initializer:
        assert np.array_equal(onnx.numpy_helper.to_array(proto), program.constants[proto.name])
    assert {o.domain for o in model.opset_import} == {"", "ai.refq"}


def test_hash_sees_all_that_matters():
    """A code, a row, a width, a grid, the outputs and the rounding of images each change the program hash."""
    program = small.program()
    seen = {program_hash(program)}

    def changed(**fields):
        value = program_hash(replace(program, **fields))
        assert value not in seen
        seen.add(value)

    w = program.constants["fc1.w"].copy()
    w[0, 0] ^= 1
    changed(constants=program.constants | {"fc1.w": w})
    row = replace(program.steps[1].row, ties="half_even")
    changed(steps=(program.steps[0], replace(program.steps[1], row=row), *program.steps[2:]))
    x = program.tensors["x"]
    moved = Affine(I8, np.nextafter(x.grid.scale, 1), x.grid.zero)
    changed(tensors=program.tensors | {"x": replace(x, grid=moved)})
    changed(tensors=program.tensors | {"fc1.w": replace(program.tensors["fc1.w"], width=small.W4)})
    changed(outputs=("logits",))
    changed(ties="half_even")


def test_hash_is_of_arithmetic():
    """Names of recipe, dialect and roles, and the real scales of steps, do not enter the program hash."""
    program = small.program()
    bare = tuple(replace(step, scales={}) for step in program.steps)
    assert program_hash(program) == program_hash(replace(program, recipe="w4a8", dialect="tosa", roles={}, steps=bare))
    assert len(program_hash(program)) == 64


@pytest.mark.parametrize("name", ops.names())
def test_rows_are_plain(name):
    """Every operation's default row and its alternatives survive JSON."""
    row = ops.load(name).Row()
    for one in (row, *(r for _, r in alternatives(row))):
        assert from_plain(type(row), json.loads(json.dumps(plain(one)))) == one


def test_unknown_field_is_named():
    with pytest.raises(IllFormed, match="colour"):
        from_plain(ops.load("argmax").Row, {"colour": "red"})


def test_wrong_container_is_refused(tmp_path):
    """A constant that is not in the container of its width is named."""
    program = small.program()
    wide = program.constants["fc1.w"].astype(np.int32)
    with pytest.raises(IllFormed, match="fc1.w"):
        save(replace(program, constants=program.constants | {"fc1.w": wide}), tmp_path)


@pytest.mark.parametrize("name", ["program.onnx", "tensors.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"not a model", "half"])
def test_missing_empty_foreign_truncated(stored, name, content):
    """Each is refused by the file's name."""
    path = stored / name
    data = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(data[:len(data) // 2] if content == "half" else content)
    assert name in refusal(stored)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_flipped_header_bit(tmp_path_factory, place, bit):
    """A bit flipped in the safetensors header is refused, or changes nothing that is loaded."""
    folder = tmp_path_factory.mktemp("flipped")
    save(small.program(), folder)
    path = folder / "tensors.safetensors"
    data = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    data[place % header] ^= 1 << bit
    path.write_bytes(data)
    try:
        again = load(folder)
    except Corrupt as refused:
        assert "tensors.safetensors" in str(refused)
    else:
        assert program_hash(again) == program_hash(small.program())


@pytest.mark.parametrize("location", ["../tensors.safetensors", "/etc/passwd", "other.safetensors", "sub/tensors"])
def test_constants_elsewhere(stored, location):
    """External data that points outside the folder or at another file is refused by its initializer."""
    def change(model):
        model.graph.initializer[0].external_data[0].value = location
    name = onnx.load(stored / "program.onnx", load_external_data=False).graph.initializer[0].name
    edit(stored, change)
    message = refusal(stored)
    assert name in message and location in message


def test_link_out_of_the_folder(stored, tmp_path_factory):
    """A tensors.safetensors that is a link to elsewhere is refused."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "tensors.safetensors"
    (stored / "tensors.safetensors").rename(elsewhere)
    (stored / "tensors.safetensors").symlink_to(elsewhere)
    assert "outside" in refusal(stored)


@pytest.mark.parametrize("key,move", [(1, 1), (1, -8), (2, -1), (2, 10**9)])
def test_offsets_are_entries(stored, key, move):
    """An initializer that is not exactly one entry of the header is refused."""
    def change(model):
        entry = model.graph.initializer[0].external_data[key]
        entry.value = str(int(entry.value) + move)
    edit(stored, change)
    assert "not its entry" in refusal(stored)


def test_unknown_operation_and_row(stored):
    """A step whose operation or row this version does not know is named."""
    edit(stored, lambda model: setattr(model.graph.node[0], "op_type", "frobnicate"))
    message = refusal(stored)
    assert "fc1" in message and "frobnicate" in message


def test_row_out_of_its_choices(stored):
    """A row with an impossible word is refused with its step."""
    def change(model):
        for a in model.graph.node[1].attribute:
            if a.name == "row":
                a.s = a.s.replace(b"half_away", b"half_way")
    edit(stored, change)
    message = refusal(stored)
    assert "fc1.rescale" in message and "half_way" in message


def test_a_field_that_comes_later_changes_no_stored_program(stored, monkeypatch):
    """Programs of before load, under rows that have one field more, and keep their hash; a row that uses it has another."""
    program = small.program()
    for name in {step.op for step in program.steps}:
        wider = make_dataclass("Row", [("colour", str, field(default="red"))], bases=(ops.load(name).Row,), frozen=True)
        monkeypatch.setattr(ops.load(name), "Row", wider)
    again = load(stored)
    assert {step.row.colour for step in again.steps} == {"red"} and program_hash(again) == program_hash(program)
    blue = replace(again.steps[1], row=replace(again.steps[1].row, colour="blue"))
    assert program_hash(replace(again, steps=(again.steps[0], blue, *again.steps[2:]))) != program_hash(program)


def test_rows_in_full_words_are_read(stored):
    """A file may state the defaults."""
    def change(model):
        for node, step in zip(model.graph.node, small.program().steps):
            for a in node.attribute:
                if a.name == "row":
                    a.s = json.dumps(plain(step.row)).encode()
    edit(stored, change)
    assert program_hash(load(stored)) == program_hash(small.program())


def test_a_row_that_is_read_otherwise_is_refused(stored):
    """A width that is written in another way."""
    def change(model):
        for a in model.graph.node[1].attribute:
            if a.name == "row":
                a.s = json.dumps(json.loads(a.s) | {"out": "I8"}).encode()
    edit(stored, change)
    assert "fc1.rescale" in refusal(stored)


DEFAULTS = """
add              left 20, multiplier q31, high half_up, ties half_away, overflow wrap, joined True, a i8, b i8, out i8
add_float32      ties half_even, a i8, b i8, out i8
argmax           q i8
arrange          width i8, shapes [[1]], moves []
batch_matmul     x i8, w i8, acc i32, accumulate None
clip             q i8
conv2d           x i8, w i8, acc i32, accumulate None, stride [1, 1], padding [0, 0, 0, 0], dilation [1, 1], groups 1
ilayernorm       root newton10, mean half_even, q i8
matmul           x i8, w i8, acc i32, accumulate None
mean             q i8, acc i32
rescale          multiplier q31, high none, ties half_up, overflow wrap, zero_point after, acc i32, out i8
rescale_float32  ties half_even, zero_point after, acc i32, out i8
shiftgelu        n 23, bits 8, q i8
shiftmax         n 15, reciprocal 31, q i8, out i8
table            ties half_even, q i8, out i8
"""


@pytest.mark.parametrize("line", DEFAULTS.strip().split("\n"))
def test_defaults_stay(line):
    """What is at its default is not stored: another default would change the meaning of stored programs without a sound."""
    name, fields = line.split(maxsplit=1)
    row = plain(ops.load(name).Row())
    now = {k: str(v) for k, v in row.items()}
    then = dict(f.split(" ", 1) for f in re.split(r", (?=[a-z])", fields))
    assert {k: now.get(k) for k in then} == then


def test_foreign_model(tmp_path):
    """An ONNX file of somebody else is not a program."""
    graph = onnx.helper.make_graph([], "g", [], [])
    Path(tmp_path / "program.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert "metadata" in refusal(tmp_path)


def test_offsets_cover_the_file(stored):
    """The entries are inside the file and hold as many bytes as their codes."""
    program = small.program()
    size = (stored / "tensors.safetensors").stat().st_size
    for name, (offset, length) in entries(stored / "tensors.safetensors").items():
        assert offset + length <= size and length == program.constants[name].nbytes
