"""Slips of 2:4 metadata: nibbles that are read in another order, from another row or quad, or as something else."""
import numpy as np

from refq.ints.slips import named
from refq.ints.sparse_slips import relocated


def reread(name, text, change):
    """A slip that makes `change(meta, row)`, int64 words, of the metadata; `text`: what it does."""
    def slip(run, operands, row):
        meta = change(operands["meta"].astype(np.int64), row) & row.meta.hi
        return run({**operands, "meta": np.ascontiguousarray(meta, row.meta.dtype)})
    slip.__doc__ = text
    return named(slip, name)


def nibbles(meta, row, order):
    """Words whose nibble i is nibble order[i] of the words given."""
    return sum((meta >> 4 * int(source) & 15) << 4 * i for i, source in enumerate(order))


def as_deltas(columns):
    """The second place of a quad counted from behind the first, and not from the start of the quad."""
    second = columns[:, 1::2]
    columns[:, 1::2] = second + columns[:, :2 * second.shape[1]:2] % 4 + 1
    return columns


def of(places):
    """All of them. `places` as in sparse_slips."""
    return (reread("metadata_of_next_row", "Each row is read with the metadata of the next.",
                   lambda meta, row: np.roll(meta, -1, 0)),
            reread("metadata_of_next_quad", "Each quad is read with the nibble of the next in its word.",
                   lambda meta, row: meta >> 4),
            reread("high_nibble_first", "Nibbles of a word of metadata are read from the high end.",
                   lambda meta, row: nibbles(meta, row, range(row.meta.bits // 4)[::-1])),
            reread("nibbles_of_bytes_swapped", "The two nibbles of each byte of metadata are swapped.",
                   lambda meta, row: nibbles(meta, row, np.arange(row.meta.bits // 4) ^ 1) if row.meta.bits > 4 else meta),
            reread("places_from_the_end", "Places are counted from the end of a quad.", lambda meta, row: ~meta),
            reread("metadata_truncated", "The upper half of each word of metadata is lost: its places are 0.",
                   lambda meta, row: meta & (1 << row.meta.bits // 2) - 1),
            reread("last_metadata_lost", "The last word of metadata of each row is lost: its places are 0.",
                   lambda meta, row: np.append(meta[:, :-1], 0 * meta[:, -1:], 1)),
            relocated(places, "places_as_deltas", lambda columns, codes, operands, row: (as_deltas(columns), codes)))
