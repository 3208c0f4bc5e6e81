"""inspect: what can be read off a mask: which patterns it satisfies, what is empty, how long its gaps are.

Everything is said of the mask as kernels walk the weights (`Mask.matrix`): a row for each output, k in the order of its sum. A
mask satisfies n:m where no group of m units along k, counted from the first on, keeps more than n, and a block where each is kept
whole or goes whole; tails and edges are what is there.
"""
import re

import numpy as np

from refq.pruners.block import sides
from refq.pruners.n_m import parts

PATTERNS, BLOCKS = ("1:4", "2:4", "4:8", "4:8x2"), ("1x4", "4x4", "8x1")


def facts(mask):
    """Plain data: pattern, layers, shape, weights, pruned; `satisfies`: patterns and blocks, of the common ones and those that
    the mask's own words name; `empty_rows` and `empty_columns` of the matrix; `longest_gap`: neighbours along k that all go."""
    kept = mask.matrix()
    named = re.findall(r"(?<![\d.])(\d+:\d+(?:x\d+)?|\d+x\d+)", mask.pattern)
    words = list(dict.fromkeys((*PATTERNS, *(w for w in named if ":" in w), *BLOCKS, *(w for w in named if ":" not in w))))
    holds = [word for word in words if satisfies(kept, word)] if mask.pruned else []
    return {"pattern": mask.pattern, "layers": list(mask.layers), "shape": list(mask.shape), "weights": mask.kept.size,
            "pruned": mask.pruned, "satisfies": holds, "empty_rows": int((~kept.any(1)).sum()),
            "empty_columns": int((~kept.any(0)).sum()), "longest_gap": longest_gap(kept)}


def satisfies(kept, word):
    """Whether a mask (m k) satisfies n:m, n:mxu or rows x columns."""
    rows, k = kept.shape
    if ":" in word:
        n, m, unit = parts(word)
        units = np.add.reduceat(kept, range(0, k, unit), 1) > 0 if k else kept
        return not k or bool((np.add.reduceat(units.astype(np.int64), range(0, units.shape[1], m), 1) <= n).all())
    high, wide = sides(word)
    first = kept[np.arange(rows) // high * high][:, np.arange(k) // wide * wide]
    return bool((kept == first).all())


def longest_gap(kept):
    """The longest run of masked weights in a row of (m k)."""
    walls = np.concatenate([np.ones((len(kept), 1), bool), kept], 1).ravel()
    return int(np.diff(np.flatnonzero(np.append(walls, True))).max(initial=1)) - 1
