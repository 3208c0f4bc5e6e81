"""The house rules that a machine can check: floors, rule labels, file lengths, a fast import."""
import ast
import subprocess
import sys

import pytest

from tools import floors, labels

LONGEST, LONGEST_OPERATION = 300, 160


def test_imports_go_down_only():
    """No package of refq imports from above or from its own floor, and no peer is imported at all."""
    assert floors.violations() == []


@pytest.mark.parametrize(("package", "name", "said"), [
    ("ints", "refq.errors.IllFormed", None),
    ("errors", "refq.ints.width", "is above"),
    ("ops", "refq.quantizers.minmax", "on one floor"),
    ("ops", "refq.ops", None),
    ("graph", "refq", "is above"),
    ("graph", "refq.cli", "is above"),
    ("cli", "refq.load", None),
    ("load", "torch", "no dependency"),
    ("ops", "numba", "which only"),
    ("ints", "numba.core", None),
    ("graph", "os.path", None),
])
def test_floors_tell_up_from_down(package, name, said):
    """The check itself: each kind of import is judged as the plan says."""
    found = floors.complaint(package, name, floors.declared())
    assert found is None if said is None else said in found


def test_floors_see_imports_in_functions_and_relative_ones():
    """An import inside a function, behind `from refq import`, or relative, is an import."""
    text = "def f():\n    from refq import cli\n    from ..graph import program\n    import_module('refq.load')\n"
    found = list(floors.imports(ast.parse(text), ["refq", "ops", "matmul"]))
    assert found == [(2, "refq.cli"), (3, "refq.graph.program"), (4, "refq.load")]


def test_rule_labels_agree():
    """Every rule of an operation's docstring is obeyed where spec and kernel say so, and no label is unknown."""
    assert labels.violations() == []


def test_there_are_operations_to_check():
    """A suite that finds no cases passes: so count them."""
    assert len(labels.operations()) >= 15


WRONG = '''"""double: twice.

R1       doubles
R3       clips
error    none
"""


def spec(x):
    return x + x            # R1


def kernel(row):
    return 2                # R2


def r4_even(x):
    return x % 2 == 0
'''


def test_labels_name_every_disagreement(tmp_path):
    """The check itself: a missing section, a gap in the rules, a forgotten comment, an unknown label and law."""
    path = tmp_path / "double.py"
    path.write_text(WRONG)
    found = " | ".join(labels.disagreements(path))
    for said in ("no section `units`", "no section `source`", "rules are R1, R3", "`spec` has no comment for R3",
                 "`kernel` has no comment for R1, R3", "comments speak of R2", "r4_even speaks of R4"):
        assert said in found


def test_files_stay_short(root):
    """A file of more than 300 lines, or an operation of more than 160, wants to be two."""
    lengths = {p.relative_to(root).as_posix(): len(p.read_text().splitlines())
               for folder in ("refq", "tools", "tests") for p in (root / folder).rglob("*.py")}
    most = {name: LONGEST_OPERATION if name.startswith("refq/ops/") else LONGEST for name in lengths}
    assert {name: n for name, n in lengths.items() if n > most[name]} == {}


def test_every_module_says_what_it_is(root):
    """Every file of refq begins with a docstring."""
    silent = [str(p.relative_to(root)) for p in (root / "refq").rglob("*.py")
              if not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


def test_importing_refq_is_light():
    """`import refq` imports neither Numba nor ONNX: heavy things load when they are used."""
    code = "import sys, refq; print(*sorted({'numba', 'onnx', 'safetensors', 'click'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
