"""Sample: a few rows and channels of a Place, on which most mutants are ruled out at once.

Only mutants that change each element by itself can be judged here. Where axes do not say what an element is made of, the
sample is one of whole cases.
"""
import numpy as np

from refq import ops
from refq.vectors.diagnosis.place import Place, by_kernel, by_spec

ROWS, COLUMNS, ELEMENTS = 12, 24, 8192


def sample(place, wrong):
    """A Place, or what runs mutants like one: smaller, with elements where `wrong` (cases *shape) holds and others."""
    if regular(place):
        return Cut(place, wrong)
    cases = np.flatnonzero(wrong.reshape(len(wrong), -1).any(1))[:2]
    return Cases(place, cases)


class Cases:
    """Whole cases of a place; the first where none is named."""

    def __init__(self, place, cases):
        self.chosen = cases = cases if len(cases) else np.arange(1)
        self.place = Place(place.program, place.steps, {name: codes[cases] for name, codes in place.codes.items()})

    def run(self, mutants):
        """The elements of the result under these mutants, as one axis."""
        by = by_spec if all(m.local for m in mutants) else by_kernel
        return self.place.run(mutants, by)[self.place.results[0]].reshape(-1)

    def of(self, array):
        """The elements of the result (cases *shape) that the sample has."""
        return array[self.chosen].reshape(-1)


def regular(place):
    """Is the run a chain in which every step sees the rows, and channels last, of the one before?"""
    shape, before = None, None
    for step in place.steps:
        if len(step.outputs) != 1 or hasattr(ops.load(step.op), "reach") and len(place.steps) > 1:
            return False
        declared = next(iter(step.row.gives.values()))
        mains = [k for k, t in step.inputs.items() if t not in place.program.constants]
        if not declared.joins or not all(step.row.takes[k].joins for k in mains):
            return False
        if shape is not None and (len(mains) != 1 or step.row.takes[mains[0]].view(before).shape != shape):
            return False
        before = place.truth[next(iter(step.outputs.values()))]
        shape = declared.view(before).shape
    return True


def cuttable(step, axis):
    """Can the operation be computed for some places of that axis alone?"""
    taken = [d for d in step.row.takes.values() if axis in d.names]
    own = hasattr(ops.load(step.op), "reach") and getattr(step.row, "groups", 0) != 1
    return bool(taken) and not own and not any(axis in d.whole for d in taken)


class Cut:
    """Some rows and, where every step can be cut so, some channels of a regular place."""

    def __init__(self, place, wrong):
        self.place = place
        declared = [next(iter(step.row.gives.values())) for step in place.steps]
        view = declared[-1].view(wrong)
        self.shape = view.shape
        axes = [d.names[-1] for d in declared]
        columns = view.ndim > 1 and all(cuttable(step, axis) for step, axis in zip(place.steps, axes)) \
            and all(place.main(i).names[-1] == axis for i, axis in enumerate(axes) if i)
        self.columns = some(view.reshape(-1, view.shape[-1]).any(0), COLUMNS) if columns else None
        rest = max(1, view[0].size if self.columns is None else view[0].size // view.shape[-1] * len(self.columns))
        self.rows = some(view.reshape(len(view), -1).any(1), max(ROWS, ELEMENTS // rest))
        self.operands = [self.cut(place.operands(i), step, axis) for i, (step, axis) in enumerate(zip(place.steps, axes))]

    def cut(self, operands, step, axis):
        found = {}
        for name, value in operands.items():
            names = step.row.takes[name].names
            if names[:1] == ("n",):
                value = value[self.rows]
            if self.columns is not None and axis in names and axis != "n":
                value = value.take(self.columns, names.index(axis))
            found[name] = np.ascontiguousarray(value) if names else value
        return found

    def run(self, mutants):
        """The result's elements in the sample under these mutants, as one axis."""
        carried = None
        for i, step in enumerate(self.place.steps):
            here = [m for m in mutants if m.place == i]
            if carried is None and not here:
                continue
            operands, run = dict(self.operands[i]), by_spec(step.op, step.row)
            if carried is not None:
                main = next(k for k, t in step.inputs.items() if t not in self.place.program.constants)
                operands[main] = carried.reshape(operands[main].shape)
            for mutant in here:
                run = mutant.around(run)
            carried = run(operands)[next(iter(step.outputs))]
        return carried.reshape(-1)

    def of(self, array):
        """The elements of the result (cases *shape) that the sample has."""
        view = array.reshape(self.shape)[self.rows]
        return (view if self.columns is None else view[..., self.columns]).reshape(-1)


def some(marked, most):
    """Up to `most` places: three quarters of them marked, spread out, and the others from both ends and between."""
    yes, no = np.flatnonzero(marked), np.flatnonzero(~marked)
    few = min(len(yes), max(most * 3 // 4, most - len(no)))
    return np.sort(np.concatenate([spread(yes, few), spread(no, min(len(no), most - few))]))


def spread(places, count):
    if count == 0:
        return places[:0]
    return places[np.unique(np.linspace(0, len(places) - 1, count).astype(int))]
