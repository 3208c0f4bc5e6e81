"""What tools/tosa reads and refuses, without Arm's tools: bytes of constants, ERROR_IFs, and how results are counted."""
import base64

import numpy as np
import pytest

from tools.tosa import suite
from tools.tosa.checks import NAMES, Refused, admit
from tools.tosa.lowered import LOWERED, lower
from tools.tosa.operators import Operator, Tensor, decoded


def test_constants_are_read_as_the_schema_stores_them():
    """INT4 low nibble first, INT48 in six bytes, everything little-endian; a constant without elements still holds a byte."""
    def of(kind, shape, data):
        return decoded(kind, shape, base64.b64encode(bytes(data)).decode()).tolist()

    assert of("INT4", [3], [0xF1, 0x08]) == [1, -1, -8]
    assert of("INT48", [2], [255] * 6 + [0, 0, 0, 0, 0, 128]) == [-1, -(1 << 47)]
    assert of("INT16", [1, 1], [0x34, 0x12]) == [[0x1234]]
    assert of("SHAPE", [1], [5] + [0] * 7) == [5]
    assert of("BOOL", [], [1]) == 1
    assert of("INT8", [0], [7]) == []


def operator(op, shapes, out, kind="INT32", constants=(), **attributes):
    inputs = [Tensor(kind, shape, np.ones(shape, np.int32)) for shape in shapes]
    return Operator(op, attributes, inputs + [Tensor(kind, [len(c)], np.array(c)) for c in constants], [Tensor(kind, out)])


@pytest.mark.parametrize("rule, made", [
    ("inputs", operator("ADD", [[2]], [2])),
    ("rank", operator("ADD", [[1] * 7, [1] * 7], [1] * 7)),
    ("ranks", operator("ADD", [[2], [1, 2]], [1, 2])),
    ("broadcast", operator("ADD", [[2], [3]], [3])),
    ("shape", operator("ADD", [[1], [3]], [1])),
    ("axis", operator("REDUCE_SUM", [[2, 3]], [2, 1], axis=2)),
    ("perms", operator("TRANSPOSE", [[2, 3]], [2, 2], perms=[0, 0])),
    ("start", operator("SLICE", [[4]], [2], constants=([3], [2]))),
    ("pad", operator("MAX_POOL2D", [[1, 4, 4, 1]], [1, 7, 4, 1], kernel=[2, 2], stride=[1, 1], pad=[2, 2, 0, 0])),
    ("whole", operator("MAX_POOL2D", [[1, 5, 4, 1]], [1, 2, 2, 1], kernel=[2, 2], stride=[2, 2], pad=[0, 0, 0, 0])),
    ("zero_point", operator("NEGATE", [[2]], [2], constants=([1], [0]))),
])
def test_what_tosa_forbids_is_refused_under_its_word(rule, made):
    """In one sentence that begins with the operator's name."""
    with pytest.raises(Refused) as refused:
        admit(made)
    assert refused.value.rule == rule and str(refused.value).startswith(f"{made.op}: ") and "\n" not in str(refused.value)


def test_an_axis_of_one_is_repeated():
    """A sum of (2 1) and (1 3) has shape (2 3)."""
    made = operator("ADD", [[2, 1], [1, 3]], [2, 3])
    admit(made)
    assert lower(made).tolist() == [[2, 2, 2]] * 2


def test_every_operator_and_every_rule_is_known():
    """What Arm's generator is asked for can be computed; no ERROR_IF stands under two words."""
    asked = {o.upper() for o in " ".join(suite.GROUPS).split()}
    assert asked - set(LOWERED) == {"CONST"}
    every = [name for names in NAMES.values() for name in names]
    assert len(every) == len(set(every))


def test_a_refusal_for_another_reason_counts_as_failed():
    """And so does a test that got no answer."""
    tests = {"/t/add/add_1_i32", "/t/add/add_ERRORIF_RankMismatch_1_i32", "/t/add/add_ERRORIF_WrongInputList_1_i32",
             "/t/add/add_2"}
    told = {"kernel": 1, "spec": 1, "message": ""}
    answers = {"/t/add/add_1_i32": {"rule": "", **told}, "/t/add/add_ERRORIF_RankMismatch_1_i32": {"rule": "ranks", **told},
               "/t/add/add_ERRORIF_WrongInputList_1_i32": {"rule": "shape", **told}}
    row, = suite.judged(tests, answers, tests - {"/t/add/add_2"})
    assert (row.tests, row.equal, row.forbidden, row.refused) == (2, 1, 2, 1)
    assert [text.split(":")[0] for text in row.failed] == ["add_2", "add_ERRORIF_WrongInputList_1_i32"]
