"""Spread: where the wrong elements of a result lie, by channel, row and place in a tile, and how many are ties or saturated."""
import numpy as np

from refq.vectors.flags import SATURATED, TIE, element_wise, flags
from refq.vectors.mutants.regions import axis_name

TILES, MOST = (2, 4, 8, 16, 32), 3


def spread(trials):
    """JSON words of the wrong elements of `trials` (each with `place`, `name`, `wrong`), those of the first by axis; ties
    and saturations, of all, where the last step is element-wise."""
    first = trials[0]
    said = {"tensor": first.name, "axes": [by_axis(first.wrong, axis) for axis in range(first.wrong.ndim)
                                           if first.wrong.shape[axis] > 1]}
    if element_wise(first.place.steps[-1]):
        counts = np.zeros((2, 2), np.int64)
        for t in trials:
            seen = of_result(t)
            counts += [[np.count_nonzero(seen & f != 0), np.count_nonzero((seen & f != 0) & t.wrong)] for f in (TIE, SATURATED)]
        said |= {"ties": int(counts[0, 0]), "wrong_ties": int(counts[0, 1]), "saturated": int(counts[1, 0]),
                 "wrong_saturated": int(counts[1, 1])}
    return said


def of_result(trial):
    """The flags of every element of a trial's result (cases *shape)."""
    place = trial.place
    last = len(place.steps) - 1
    step, truth = place.steps[last], place.truth[trial.name]
    view = next(iter(step.row.gives.values())).view(truth)
    return flags(step, list(place.operands(last).values()), view.shape).reshape(truth.shape)


def by_axis(wrong, axis):
    """How many places of an axis hold wrong elements, which hold most, and where they are in tiles, if that is narrow."""
    counts = wrong.sum(axis=tuple(a for a in range(wrong.ndim) if a != axis))
    places = np.flatnonzero(counts)
    order = places[np.argsort(-counts[places], kind="stable")][:MOST]
    said = {"axis": "cases" if axis == 0 else axis_name(axis - 1, wrong.ndim - 1), "size": len(counts), "wrong": len(places),
            "most": [[int(p), int(counts[p])] for p in order]}
    for t in TILES:
        rest = np.unique(places % t)
        if axis and len(places) > 1 and 2 * t <= len(counts) and len(rest) <= min(t // 2, 4):
            return said | {"modulo": t, "remainders": [int(r) for r in rest]}
    return said


def lines(said):
    """The same for people: a line of places, and one of ties and saturations."""
    parts = []
    for a in said["axes"]:
        most = ", ".join(f"{place} ({count:,})" for place, count in a["most"])
        tile = f", index modulo {a['modulo']} is {' or '.join(map(str, a['remainders']))}" if "modulo" in a else ""
        parts.append(f"{a['wrong']:,} of {a['size']:,} {a['axis']} (most in {most}{tile})")
    if parts:
        yield f"{said['tensor']} is wrong in {'; '.join(parts)}"
    if "ties" in said:
        yield (f"of the wrong ones {said['wrong_ties']:,} are ties (of {said['ties']:,} in all), "
               f"{said['wrong_saturated']:,} saturate (of {said['saturated']:,})")
