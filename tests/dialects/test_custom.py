"""A dialect from a TOML file: what it changes, and that everything it cannot mean is one sentence with file and field."""
from dataclasses import fields

import pytest

from refq import dialects, ops
from refq.dialects.base import Dialect
from refq.errors import Corrupt, IllFormed, RefqError
from refq.ints.width import I16, I24, I32, I40


def written(folder, text, name="npu.toml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path, kind=IllFormed):
    with pytest.raises(kind) as refused:
        dialects.load(str(path))
    message = str(refused.value)
    assert "refq." not in message.replace(str(path), "")
    assert "\n" not in message and message.count(str(path)) == 1
    return message


@pytest.mark.parametrize("base", dialects.names())
def test_a_base_alone_is_the_base(tmp_path, base):
    """Without differences only name, title, source, date and check values differ."""
    made, named = dialects.load(written(tmp_path, f'base = "{base}"')), dialects.load(base)
    for f in fields(Dialect):
        if f.name not in ("name", "title", "source", "date", "checks"):
            assert getattr(made, f.name) == getattr(named, f.name)
    assert made.name == "npu" and base in made.title and "npu.toml" in made.source and made.checks == ()


def test_differences(tmp_path):
    """Plain fields, registers, fields of rows: what is named changes, all else stays."""
    made = dialects.load(written(tmp_path, """
        name = "mine"
        base = "tosa"
        title = "My NPU"
        source = "its manual, chapter 4"
        date = "2026-01"
        weights = [8]
        asymmetric = []
        narrow = false
        encode = "half_up"
        [accumulators]
        8 = "i24"
        16 = "i40"
        [rescale]
        ties = "half_even"
        zero_point = "inside"
        [softmax]
        exponentials = "rounded"
        """))
    tosa = dialects.load("tosa")
    assert (made.name, made.title, made.source, made.date) == ("mine", "My NPU", "its manual, chapter 4", "2026-01")
    assert (made.weights, made.asymmetric, made.narrow, made.encode) == ((8,), (), False, "half_up")
    assert made.accumulators == {8: I24, 16: I40} and made.activations == tosa.activations
    row, old = made.roles["rescale"].row, tosa.roles["rescale"].row
    assert (row.ties, row.zero_point, row.multiplier, row.acc) == ("half_even", "inside", old.multiplier, I32)
    assert made.roles["rescale_wide"] == tosa.roles["rescale_wide"]
    assert made.roles["softmax"].row.exponentials == "rounded" and tosa.roles["softmax"].row.exponentials == "fixed"


def test_products_join_in_the_registers_of_the_file(tmp_path):
    """The rule of a sum and the register that [accumulators] names; the row's own `acc` follows."""
    made = dialects.load(written(tmp_path, """
        base = "tosa"
        activations = [8]
        [accumulators]
        8 = "i16"
        [matmul]
        accumulate = {order = "sequential", overflow = "saturate", width = "i16"}
        """))
    row = made.roles["matmul"].row
    assert (row.accumulate.overflow, row.accumulate.order, row.acc, made.accumulator(8)) == ("saturate", "sequential", I16, I16)


def test_a_changed_role_is_its_own(tmp_path):
    """A borrowed role stays borrowed where the file does not touch it, and is the file's own where it does."""
    made = dialects.load(written(tmp_path, 'base = "onnx"\n[layernorm]\n'))
    assert made.roles["softmax"].borrowed == "ivit" and made.roles["layernorm"].borrowed is None


def test_another_operation(tmp_path):
    """`op` puts another operation into a role; its row starts from that operation's defaults."""
    made = dialects.load(written(tmp_path, 'base = "tosa"\n[rescale]\nop = "rescale_float32"\nties = "half_away"\n'
                                           '[gelu]\nop = "shiftgelu"\nbits = 8\n'))
    assert made.roles["rescale"].op == "rescale_float32" and made.roles["rescale"].borrowed is None
    assert made.roles["rescale"].row == ops.load("rescale_float32").Row(ties="half_away")
    assert made.roles["gelu"].row == ops.load("shiftgelu").Row(bits=8)


REFUSED = {
    'ties = "half_up"\nbase = "tosa"': ("'ties'", "not one of a dialect"),
    'base = "tosa"\nweihgts = [8]': ("'weihgts'", "did you mean weights"),
    'base = "tosa"\n[rescael]\nties = "half_up"': ("[rescael]", "did you mean", "rescale"),
    'base = "tosa"\n[rescale]\ntise = "half_up"': ("[rescale]", "'tise'", "did you mean ties"),
    'base = "tosa"\n[rescale]\nties = "half_way"': ("ties", "'half_way'", "half_up"),
    'base = "tosa"\n[rescale]\nties = 3': ("ties", "3"),
    'base = "tosa"\n[rescale]\nties = ["half_up"]': ("ties",),
    'base = "tosa"\n[softmax]\nout = "i99"': ("i99",),
    'base = "tosa"\n[softmax]\nout = 8': ("out", "8"),
    'base = "tosa"\n[rescale]\nout = "i4"': ("[rescale]", "'i4'", "decide out"),
    'base = "tosa"\n[rescale]\nop = "rescale_float32"\nacc = "i16"': ("[rescale]", "decide acc"),
    'base = "tosa"\n[matmul]\nacc = "i16"': ("[matmul]", "decide acc", "[accumulators]"),
    'base = "tosa"\n[matmul]\nx = "i4"': ("[matmul]", "decide x"),
    'base = "tosa"\n[clip]\nq = "i8"': ("[clip]", "decide q"),
    'base = "tosa"\n[clip]\nlo = 3': ("[clip]", "'lo'", "it has none"),
    'base = "tosa"\n[conv2d]\nstride = [2, 2]': ("[conv2d]", "decide stride"),
    'base = "tosa"\n[conv2d]\ngroups = 2': ("[conv2d]", "decide groups"),
    'base = "tosa"\n[arrange]\nmoves = []': ("[arrange]", "decide moves"),
    'base = "tosa"\n[add]\nmultiplier = "q15"\nhigh = "half_up"': ("[add]", "q15", "round once"),
    'base = "tosa"\n[rescale]\nmultiplier = "pow2"\nhigh = "half_up"': ("[rescale]", "pow2", "round once"),
    'base = "tosa"\n[rescale_wide]\nmultiplier = "q31"': ("[rescale_wide]", "q31", "up to 32 bits"),
    'base = "tosa"\n[rescale_wide]\nop = "rescale"\nhigh = "half_up"': ("[rescale_wide]", "high"),
    'base = "onnx"\n[rescale_wide]\nop = "rescale"\nhigh = "half_up"': ("[rescale_wide]", "high"),
    'base = "tosa"\n[accumulators]\n8 = "i32"\n16 = "i64"': ("[accumulators]", "'i64'", "up to 48 bits"),
    'base = "tosa"\n[matmul]\naccumulate = {width = "i16"}': ("[matmul]", "i16", "i32 and i48"),
    'base = "tosa"\n[matmul]\naccumulate = {step = "wrap"}': ("[matmul]", "'step'"),
    'base = "tosa"\n[rescale]\nop = "rescail"': ("rescail",),
    'base = "tosa"\n[rescale]\nop = ["rescale"]': ("[rescale]", "op"),
    'base = "tosa"\n[rescale]\nop = "argmax"': ("[rescale]", "argmax"),
    'base = "tosa"\n[softmax]\nop = "table"': ("[softmax]", "table"),
    'base = "tosa"\n[rescale]\nhigh = "half_up"\nzero_point = "inside"': ("high",),
    'base = "tosa"\n[rescale_wide]\nhigh = "half_up"': ("high",),
    'base = "tosa"\nencode = "half_way"': ("encode", "half_way"),
    'base = "tosa"\nencode = 1': ("'encode'", "a text"),
    'base = "tosa"\nname = 1': ("'name'", "a text"),
    'base = "tosa"\nname = ""': ("'name'",),
    'base = "tosa"\nname = "a\\nb"': ("'name'",),
    'base = "tosa"\ndate = 2026-01-01': ("'date'", "a text"),
    'base = "tosa"\nnarrow = 1': ("'narrow'", "true or false"),
    'base = "tosa"\nweights = 8': ("'weights'", "a list"),
    'base = "tosa"\nweights = ["8"]': ("'weights'", "a list"),
    'base = "tosa"\nweights = [true]': ("'weights'", "a list"),
    'base = "tosa"\nweights = []': ("weights",),
    'base = "tosa"\nactivations = []\nasymmetric = []': ("activations",),
    'base = "tosa"\nweights = [1]': ("weights", "1 bits"),
    'base = "tosa"\nactivations = [8, 17]': ("activations", "17 bits"),
    'base = "tosa"\nactivations = [16]': ("asymmetric", "8 bits"),
    'base = "tosa"\nasymmetric = [4]': ("asymmetric", "4 bits"),
    'base = "tosa"\n[accumulators]\n8 = "i32"': ("16 bits", "accumulator"),
    'base = "tosa"\n[accumulators]\nwide = "i32"': ("accumulators", "wide"),
    'base = "tosa"\n[accumulators]\n8 = "x32"': ("accumulators", "x32"),
    'base = "tosa"\n[accumulators]\n8 = 32': ("accumulators", "32"),
    'base = "tosa"\n[accumulators]\n8 = "u32"\n16 = "i48"': ("accumulators", "u32"),
    'base = "tosa"\naccumulators = "i32"': ("'accumulators'", "a table"),
    'base = "tosa"\nrescale = "half_up"': ("'rescale'",),
    'weights = [8]': ("base", "missing"),
    'base = "tossa"': ("base", "did you mean tosa"),
    'base = ["tosa"]': ("base",),
    'base = "npu.toml"': ("base", "'npu.toml'"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_meant(tmp_path, text):
    """Unknown fields, tables and values, wrong types, contradictions: one sentence with the file and the field."""
    message = refusal(written(tmp_path, text))
    assert all(word in message for word in REFUSED[text]), message


@pytest.mark.parametrize("text", ["base = tosa", "[rescale", b"\xff\xfe\x00", 'base = "tosa"\nbase = "onnx"', "\x00"])
def test_what_is_not_toml(tmp_path, text):
    """Text that TOML does not allow, bytes that are no text, a key given twice."""
    assert "not TOML" in refusal(written(tmp_path, text), Corrupt)


def test_missing_files_and_folders(tmp_path):
    """A file that is not there and a folder of that name are refused by their paths."""
    assert "no such file" in refusal(tmp_path / "gone.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.toml", Corrupt)
    assert "base" in refusal(written(tmp_path, ""))


VALUES = ("3", "-1", "99", "2.5", "nan", "true", '"x"', '"half_up"', '"i8"', '"f32"', '"none"', "[]", "[1]", "[[1]]", '["a"]',
          "{}", "{a = 1}", "{width = 3}", "2026-01-01")


@pytest.mark.parametrize("role", {part.op: role for role, part in dialects.load("onnx").roles.items()}.values())
def test_any_value_in_any_field(tmp_path, role):
    """Every kind of TOML value in every field of one role of each operation: a dialect or one sentence, no other exception."""
    row = dialects.load("onnx").roles[role].row
    refused = 0
    for field in [f.name for f in fields(row)] + ["op"]:
        for value in VALUES:
            path = written(tmp_path, f'base = "onnx"\n[{role}]\n{field} = {value}')
            try:
                dialects.load(path)
            except RefqError as e:
                refused += 1
                assert "\n" not in str(e) and str(path) in str(e)
    assert refused > len(VALUES)


def test_a_field_that_no_row_can_hold_makes_no_dialect(tmp_path):
    """A list, a table or a date in a field of plain words is refused, not carried along."""
    for role, field, value in (("rescale", "overflow", "[1]"), ("conv2d", "stride", '"x"'), ("add", "left", '"x"'),
                               ("add", "left", "2.5"), ("softmax", "out", "3"), ("gelu", "bits", '"x"')):
        base = "ivit" if role == "gelu" else "tosa"
        assert field in refusal(written(tmp_path, f'base = "{base}"\n[{role}]\n{field} = {value}'))


def test_a_role_taken_over_is_the_targets_own_and_a_borrowed_one_is_not(tmp_path):
    """`from` and `borrow` name another dialect; a role that the base lacks can come from one that has it."""
    made = dialects.load(written(tmp_path, 'base = "tflite"\nabsent = ["layernorm"]\n[add]\nfrom = "ivit"\n'
                                           '[softmax]\nborrow = "tosa"\n[gelu]\nborrow = "ivit"\n'
                                           '[add_wide]\nfrom = "ivit"\nties = "half_up"\n'))
    ivit = dialects.load("ivit")
    assert (made.roles["add"].row, made.roles["add"].borrowed) == (ivit.roles["add"].row, None)
    wide = made.roles["add_wide"]
    assert (wide.row.ties, wide.row.left, wide.borrowed) == ("half_up", 0, None)
    tosa = dialects.load("tosa").roles["softmax"]
    assert (made.roles["softmax"].op, made.roles["softmax"].row, made.roles["softmax"].borrowed) == (tosa.op, tosa.row, "tosa")
    assert made.roles["gelu"].op == "shiftgelu" and made.roles["gelu"].borrowed == "ivit"
    assert "layernorm" not in made.roles


@pytest.mark.parametrize("text, says", [
    ('absent = ["layernrom"]', "did you mean layernorm"), ("absent = 3", "a list of names of roles"),
    ('[add]\nborrow = "tpu"', "borrow = 'tpu'; the dialects that have"),
    ('[add]\nborrow = "ivit"\nties = "half_up"', "write from"),
    ('[add]\nborrow = "ivit"\nfrom = "ivit"', "has borrow and 'from'"),
    ('[add]\nfrom = "tpu"', "the dialects that have that role"), ('nibbles = "first"', "low_first, high_first"),
    ('bias = "clip"', "refuse, saturate, wrap"), ('absent = ["add"]\n[add]\nties = "half_up"', "the base has no role"),
])
def test_what_a_file_cannot_leave_out_or_take_over(tmp_path, text, says):
    assert says in refusal(written(tmp_path, f'base = "tflite"\n{text}\n'))
