"""masks: rules by which what hides keys from queries before a softmax becomes that Softmax's mask.

Exporters add 0 or a very small number to the logits, or choose between the logits and one (Where), perhaps with Reshapes behind
it. What is hidden has a share of exactly 0 in integers; in float it has less than 2**-115 of the largest.
"""
import numpy as np

from refq.errors import IllFormed
from refq.graph.plain import like

HIDDEN = -80.0
"""A logit that is lowered so far, or replaced by so little, is hidden: e**-80 is 2**-115."""


def masked(node, draft):
    """Softmax(x + c) and Softmax(Where(c, x, little)), for constants, over the last axis: Softmax(x, seen) mask: given."""
    if node.op != "Softmax" or len(node.inputs) > 1 or node.inputs[0] not in draft.shapes:
        return None
    shape = tuple(draft.shapes[node.inputs[0]])
    if node.attributes.get("axis", -1) % len(shape) != len(shape) - 1 or draft.readers(node.inputs[0]) > 1:
        return None
    name, turned = node.inputs[0], False
    while (before := draft.made_by(name, "Reshape")) is not None and len(before.inputs) == 1 and draft.readers(name) <= 1:
        name, turned = before.inputs[0], True
    found = hidden(draft, name) if draft.readers(name) <= 1 else None
    if found is None:
        return None
    x, seen = found
    if tuple(draft.shapes[x]) != tuple(draft.shapes[name]):
        return None
    if turned:
        seen = np.broadcast_to(seen, draft.shapes[name]).reshape(shape)
        part = draft.fresh(f"{node.outputs[0]}.logits")
        before = [like(node, "Reshape", (x,), {"shape": shape}, (part,))]
    else:
        before, part = [], x
    mask = draft.constant(f"{node.outputs[0]}.mask", seen.astype(np.float64))
    return [*before, like(node, "Softmax", (part, mask), {"mask": "given"})]


def hidden(draft, name):
    """(logits, which of them are seen) where the tensor is logits of which a constant hides some; else None. Raises IllFormed
    for a Where that gives a query a finite number in place of all its logits."""
    node = draft.maker(name)
    if node is None or node.op not in ("Add", "Where"):
        return None
    if node.op == "Add":
        x, c = node.inputs
        value = draft.constants.get(c)
        if value is None or not ((value == 0) | (value <= HIDDEN)).all() or not (value < 0).any():
            return None
        seen = np.atleast_1d(value == 0)
        # A query that sees nothing, by a number that is finite, sees everything: its logits are only lowered together.
        return None if (~seen.any(axis=-1) & np.isfinite(value).any(axis=-1)).any() else (x, seen)
    cond, *sides = (draft.constants.get(n) for n in node.inputs)
    if cond is None:
        return None
    for x, little, seen in ((node.inputs[1], sides[1], cond != 0), (node.inputs[2], sides[0], cond == 0)):
        if x not in draft.constants and little is not None and little.size and (little <= HIDDEN).all():
            seen = np.atleast_1d(seen)
            if np.isfinite(little).any() and not seen.any(axis=-1).all():
                raise IllFormed(f"{draft.graph.name}: node {node.name} (Where) hides every key from a query, by a finite number: "
                                "an engine then gives all keys the same share; leave it one, or hide them by minus infinity")
            return x, seen
    return None


rules = (masked,)
