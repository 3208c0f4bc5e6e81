"""Campaigns: one operation of one engine against one dialect, drawn batch by batch; `play` runs a dialect's role on arrays."""
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refq import dialects
from refq.graph.play import play as by_role


@dataclass(frozen=True, eq=False)
class Compared:
    """One drawn model: the codes that refq makes and those of the engine, of one shape; `hard`: how many of them are ties or
    saturated; `witness`: words that say how to make the model again, shown where the two differ."""

    ours: np.ndarray
    theirs: np.ndarray
    hard: int
    witness: str = ""


@dataclass(frozen=True)
class Campaign:
    """`batch(rng)` draws a model and gives a Compared; `dialect`: whose rows are run. `explained`: why codes may differ that no
    row can hold, with a smallest input: without it one difference fails; and with it `apart`, the furthest in codes, and
    `share`, the most of the codes, that this reason allows. `moves`: nothing is computed, so that no code is a tie or saturated.
    ValueError for a reason without its bounds, or bounds without a reason."""

    operation: str
    dialect: str
    batch: Callable
    explained: str = ""
    apart: int = 0
    share: float = 0.0
    moves: bool = False

    def __post_init__(self):
        if {bool(self.explained), self.apart > 0, self.share > 0} not in ({True}, {False}):
            raise ValueError(f"{self.operation}: a reason needs apart > 0 and share > 0, and they need a reason")

    def excess(self, mismatches, compared, furthest):
        """What of `mismatches` in `compared` codes, at most `furthest` apart, is not allowed here, in words; else ""."""
        if mismatches and not self.explained:
            return f"{mismatches:,} of {compared:,} codes differ"
        if furthest > self.apart:
            return f"codes are {furthest:g} apart, and the reason allows {self.apart}"
        if mismatches > self.share * compared:
            return f"{mismatches:,} of {compared:,} codes differ, and the reason allows {100 * self.share:g} %"
        return ""


@dataclass
class Tally:
    """What a campaign has found so far."""

    compared: int = 0
    hard: int = 0
    mismatches: int = 0
    furthest: float = 0.0
    models: int = 0
    seconds: float = 0.0
    witness: str = ""

    @property
    def hard_share(self):
        return self.hard / max(1, self.compared)


def distance(ours, theirs):
    """The largest difference of two arrays: in codes; infinite where one of two is not finite."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.subtract(ours, theirs, dtype=np.float64))
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0))


def run(campaign, elements, seed=0, seconds=None, models=1):
    """The Tally of a campaign over at least `elements` codes and `models` drawn models, or as many as `seconds` allow."""
    rng, tally, start = np.random.default_rng([seed, *campaign.operation.encode()]), Tally(), time.perf_counter()
    while (tally.compared < elements or tally.models < models) and \
            (seconds is None or tally.seconds < seconds or not tally.models):
        drawn = campaign.batch(rng)
        ours, theirs = np.asarray(drawn.ours), np.asarray(drawn.theirs)
        if ours.shape != theirs.shape:
            raise ValueError(f"{campaign.operation}: refq gives {ours.shape}, the engine {theirs.shape}")
        wrong = (ours != theirs) & ~((ours != ours) & (theirs != theirs))
        tally.compared, tally.hard, tally.models = tally.compared + ours.size, tally.hard + int(drawn.hard), tally.models + 1
        tally.mismatches += int(wrong.sum())
        tally.furthest = max(tally.furthest, distance(ours[wrong], theirs[wrong]))
        if wrong.any() and not tally.witness:
            at = tuple(np.argwhere(wrong)[0].tolist())
            tally.witness = f"{drawn.witness} at {at}: refq {ours[at]}, engine {theirs[at]}"
        tally.seconds = time.perf_counter() - start
    return tally


def play(dialect, role, widths, tensors, **build):
    """What `role` of the dialect named `dialect` makes of arrays, by its kernel: refq.graph.play says how."""
    return by_role(dialects.load(dialect).role(role), widths, tensors, **build)
