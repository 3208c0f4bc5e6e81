"""Forms of a function: each is run exactly, near the real curve, and drawn."""
import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.view import forms

FAR = {"softmax": 0.05, "gelu": 0.32, "silu": 0.04, "sigmoid": 0.01, "tanh": 0.01, "hard_swish": 0.04}
"""How far a form may be from the real function at scale 1/16; ShiftGELU's share of exp(-max) keeps few bits."""
POWERS = 0.35
"""Where shares are powers of two alone: 1 stands for all above 2/3, and exponentials are rough."""


@pytest.mark.parametrize("function", FAR)
def test_every_form_is_near_the_function(function):
    found = forms.forms(function)
    assert len(found) >= 3
    q = np.column_stack([np.arange(-128, 128, dtype=np.int8)] + 3 * [np.zeros(256, np.int8)])
    for form in found:
        values, unit = form.values(q, 1 / 16)
        assert values.shape == q.shape and unit > 0
        module = ops.load(form.op)
        far = POWERS if hasattr(module, "grid") else FAR[function]
        if hasattr(module, "bound"):
            far = max(far, module.bound(form.row, 1 / 16, q.shape[1]))
        assert np.abs(values - forms.real(function, q / 16)).max() <= far, form


def test_dialects_that_share_a_row_share_a_form():
    assert any({"tflite_ruy", "tflite_xnnpack"} <= set(form.dialects) for form in forms.forms("softmax"))
    listed = [name for form in forms.forms("gelu") for name in form.dialects]
    assert len(listed) == len(set(listed))


def test_another_function_is_refused():
    with pytest.raises(IllFormed, match="softmax"):
        forms.forms("softmux")


@pytest.mark.parametrize("ending", (".png", ".svg"))
def test_a_picture_is_written(tmp_path, ending):
    pytest.importorskip("matplotlib", reason='pip install "refq[plots]"')
    from refq.view.plot import draw
    errors = draw("softmax", tmp_path / f"softmax{ending}", 1 / 8)
    head = (tmp_path / f"softmax{ending}").read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if ending == ".png" else b"svg" in head
    assert all(0 < error < 0.5 for error in errors.values()) and len(errors) == len(forms.forms("softmax", 1 / 8))
