"""Slips of stored blocks: runs that begin or end elsewhere, tiles and partial blocks that are lost, columns counted otherwise."""
from dataclasses import replace

import numpy as np

from refq.ints.slips import named
from refq.ints.sparse_slips import relocated


def runs_changed(text, change):
    """A slip after which `change(starts, count)` are the starts, of `count` stored blocks."""
    def slip(run, operands, row):
        starts = np.clip(change(operands["starts"].astype(np.int64), len(operands["columns"])), 0, row.kept)
        return run({**operands, "starts": np.ascontiguousarray(starts, np.int32)})
    return named(slip, text)


def empty_takes_the_next(columns, codes, operands, row):
    """A row of blocks that has none takes the one behind: its end is not looked at before a block is done. Of the first tile."""
    (high, wide), starts = row.block, operands["starts"].astype(np.int64)
    blocks, k = operands["values"].reshape(-1, high, wide).astype(np.int64), operands["x"].shape[1]
    for j in range(len(codes)):
        first, end = starts[j // high:j // high + 2]
        if first == end and 0 <= first < len(blocks):
            at = wide * int(operands["columns"][first]) + np.arange(wide)
            columns[j, :wide], codes[j, :wide] = np.where(at < k, at, -1), blocks[first, j % high]
    return columns, codes


def empty_takes_the_run_behind(columns, codes, operands, row):
    """A row of blocks that has none takes all of the one behind: its run ends where the next does."""
    high = row.block[0]
    lone = np.flatnonzero((columns < 0).all(1)[:max(len(columns) - high, 0)])
    right = columns.copy(), codes.copy()
    columns[lone], codes[lone] = right[0][lone + high], right[1][lone + high]
    return columns, codes


def block_turned(columns, codes, operands, row):
    """Blocks are read with rows for columns: of one row only the first code is met, of one column only the first row has any."""
    high, wide = row.block
    first = (np.arange(len(codes)) % high == 0)[:, None] if high > 1 else columns % wide == 0
    return np.where(first, columns, -1), codes


def partial_block_lost(columns, codes, operands, row):
    """The last block of a row is left out where it reaches behind the row's end."""
    k, wide = operands["x"].shape[1], row.block[1]
    return np.where(columns - columns % max(row.tile or k, 1) % wide + wide > k, -1, columns), codes


def tile_offset_lost(columns, codes, operands, row):
    """Columns of later tiles are counted from the start of the row."""
    return np.where(columns >= 0, columns % row.tile, -1) if row.tile else columns, codes


def columns_of_codes(columns, codes, operands, row):
    """Columns are counted in codes, not in blocks."""
    inside, wide = columns % (row.tile or max(operands["x"].shape[1], 1)), row.block[1]
    return np.where(columns >= 0, columns - inside + inside // wide + inside % wide, -1), codes


def later_tiles_lost(run, operands, row):
    """Only the first tile of columns is done."""
    return run(operands, row=replace(row, tile=0)) if row.tile else run(operands)


def of(places):
    """All of them. `places` as in sparse_slips."""
    return (*(relocated(places, change.__name__, change) for change in (
                empty_takes_the_next, empty_takes_the_run_behind, block_turned, partial_block_lost, tile_offset_lost,
                columns_of_codes)),
            later_tiles_lost,
            runs_changed("runs_end_early", lambda starts, count: np.append(starts[:-1], starts[-1:] - 1)),
            runs_changed("runs_one_block_late", lambda starts, count: starts + 1),
            runs_changed("runs_of_next_row", lambda starts, count: np.append(starts[1:], count)))
