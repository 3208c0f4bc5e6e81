"""Masks of attention as booleans, and slips of what works on the keys that a query sees; see refq/ints/slips.py."""
from dataclasses import replace

import numpy as np


def visible(shape, others, row):
    """Of every query (n h r) which of the keys it sees: booleans (n h r k)."""
    k, r = np.arange(shape[3]), np.arange(shape[2])
    if row.mask == "given":
        return np.broadcast_to(others[0] == 1, shape)
    last = others[0][:, None, :] if row.mask == "positions" else r + row.offset
    return np.broadcast_to(k <= last[..., None], shape)


def moved(run, operands, row, by):
    """What comes out where the mask lets `by` keys more be seen, or fewer."""
    if row.mask == "causal":
        return run(operands, row=replace(row, offset=row.offset + by))
    if row.mask == "positions":
        return run({**operands, "positions": np.clip(operands["positions"] + by, 0, row.last).astype(np.int32)})
    return run({**operands, "seen": np.roll(operands["seen"], by, -1) if abs(by) == 1 else np.ones_like(operands["seen"])})


def mask_ignored(run, operands, row):
    """Every query sees every key."""
    return moved(run, operands, row, operands["q"].shape[3] + 1)


def one_key_fewer(run, operands, row):
    """The mask ends one key too early; a given one is read one key off."""
    return moved(run, operands, row, -1)


def masked_afterwards(run, operands, row):
    """Hidden keys have their share of the sum, and get the code of 0 behind it."""
    others = [v for k, v in operands.items() if k != "q"]
    return {name: np.where(visible(y.shape, others, row), y, operands["masked"]).astype(y.dtype)
            for name, y in mask_ignored(run, operands, row).items()}
