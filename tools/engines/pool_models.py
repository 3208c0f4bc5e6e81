"""Drawn pools: images, windows and grids, and what refq makes of them; for the engines that have pools."""
from dataclasses import dataclass

import numpy as np

from refq.ops import average_pool
from tools.engines.campaign import Compared, play
from tools.engines.qlinear_models import drawn, scale, zeros

COUNT = 60_000


@dataclass(frozen=True, eq=False)
class Pool:
    """One drawn pool: codes `q` (n h w c) of a width on a grid (s_in, zin), onto another (s_y, zp), under a geometry as rows of
    refq have it."""

    q: np.ndarray
    width: object
    s_in: np.ndarray
    zin: int
    s_y: np.ndarray
    zp: int
    geometry: dict

    @property
    def grids(self):
        return {"s_in": float(self.s_in), "zin": self.zin, "s_y": float(self.s_y), "zp": self.zp}

    def mean(self, dialect, role, **fields):
        """What `role` of a dialect makes of it."""
        widths = {"q": self.width, "out": self.width, **self.geometry, **fields}
        return play(dialect, role, widths, {"q": self.q}, **self.grids)

    def largest(self, dialect):
        return play(dialect, "max_pool", {"q": self.width, **self.geometry}, {"q": self.q})

    def compared(self, ours, theirs, **fields):
        """Beside what an engine gave: ties by the real means, and codes at an end of the range, are hard."""
        row = average_pool.Row(q=self.width, out=self.width, **self.geometry, **fields)
        real = average_pool.real(self.q.astype(np.float64) - self.zin, row) * (float(self.s_in) / float(self.s_y))
        return Compared(ours, theirs, self.rails(ours, real - np.floor(real) == 0.5), self.witness)

    def compared_largest(self, ours, theirs):
        return Compared(ours, theirs, self.rails(ours, False), self.witness)

    def rails(self, codes, tied):
        return int(((codes == self.width.lo) | (codes == self.width.hi) | tied).sum())

    @property
    def witness(self):
        return f"{self.q.shape}, {self.geometry}, scales {self.s_in!r} {self.s_y!r}, zero points {self.zin} {self.zp}"


def whole(rng, width, same=False, least=1):
    """A pool over whole images."""
    size = tuple(int(v) for v in rng.integers(1, 12, 2))
    c = int(rng.integers(least, 70))
    return pool(rng, width, (COUNT // 8 // c, *size, c), {"kernel": size}, same)


def windowed(rng, width, geometry, same=False, channels=None, limit=5):
    """A pool of drawn images under `geometry(rng, h, w)`, fields of a row; both grids are one where `same`."""
    h, w = (int(v) for v in rng.integers(limit + 3, 20, 2))
    c = channels or int(rng.choice([1, 3, 8, 16, 17, 40, 64, 70]))
    fields = geometry(rng, h, w)
    row = average_pool.Row(**fields)
    places = np.prod(list(row.sizes({"h": h, "w": w}).values()))
    return pool(rng, width, (int(-(-COUNT // (c * places))), h, w, c), fields, same)


def pool(rng, width, shape, geometry, same):
    even = bool(rng.integers(0, 2))
    s_in = scale(rng, even)
    s_y = s_in if same else np.asarray(s_in * scale(rng, even, (), -3, 1), np.float32)
    zin = int(zeros(rng, width))
    q = drawn(rng, width, shape)
    if rng.integers(0, 2) and q.size:            # most of an image near its neighbours, so that means reach the ends of the range
        q = np.where(rng.integers(0, 4, (len(q), 1, 1, q.shape[3])) == 0, rng.choice([width.lo, width.hi]), q).astype(q.dtype)
    return Pool(q, width, s_in, zin, s_y, zin if same else int(zeros(rng, width)), geometry)
