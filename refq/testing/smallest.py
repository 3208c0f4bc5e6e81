"""The smallest array that still breaks a law: by leaving out what is not needed, and where more than one element is needed, by
Hypothesis too, which shrinks one of its own."""
import numpy as np

from refq.testing import places

EXAMPLES = 100
"""So many arrays Hypothesis tries to find a failure, before it shrinks it."""
SIMPLEST = 40
"""So many of the critical reals, which begin with the simplest, are tried in the place of each one that matters."""


def weight(x):
    """How hard an array is to read: elements, those that are not finite, those that are not 0, and digits."""
    flat = np.ravel(x)
    return x.size, int((~np.isfinite(flat)).sum()), int((flat != 0).sum()), sum(len(repr(float(v))) for v in flat), x.ndim


def smallest(broken, grid, x, dtype, special=()):
    """The lightest array found for which `broken(x)` is true, beginning with `x`, for which it is."""
    found = without(broken, grid, x)
    if found.size == 1:
        return found                    # of the critical reals, which begin with the simplest, the first that does it
    other = searched(broken, grid, dtype, special)
    return found if other is None else min(found, other, key=weight)


def searched(broken, grid, dtype, special):
    """What Hypothesis shrinks a failure to, or None where it finds none, or none that stays one, or is searching already."""
    import warnings

    from hypothesis import HealthCheck, currently_in_test_context, find, settings
    from hypothesis.errors import HypothesisException, NonInteractiveExampleWarning

    from refq.testing.strategies import tensors
    if currently_in_test_context():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonInteractiveExampleWarning)
            x = find(tensors(grid, dtype, special), broken, database_key=None, settings=settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)))
        return x if broken(x) else None
    except HypothesisException:
        return None


def without(broken, grid, x):
    """`x` less the rows that are not needed, then with 0 in every place that does not matter, and simple reals in the others."""
    axis = places.free_axis(grid, x.shape)
    if axis is not None:
        x = cut(broken, x, axis)
    if x.size > 4096:
        return x
    for i in range(x.size):
        simpler = x.copy()
        simpler.reshape(-1)[i] = 0
        if x.reshape(-1)[i] != 0 and broken(simpler):
            x = simpler
    return x if x.size > 8 else simple(broken, x, places.places(grid, x.dtype)[0][:SIMPLEST])


def simple(broken, x, reals):
    """`x` with the first of `reals` that still breaks the law in the place of each one that is not 0."""
    for i in np.flatnonzero(x):
        for value in reals:
            if value == x.reshape(-1)[i]:
                break
            simpler = x.copy()
            simpler.reshape(-1)[i] = value
            if broken(simpler):
                x = simpler
                break
    return x


def cut(broken, x, axis):
    """`x` with as few of its slices along `axis` as still break the law: halves are left out first, then ever shorter runs, the
    last ones first."""
    step = -(-x.shape[axis] // 2)
    while step:
        stop = x.shape[axis]
        while stop > 0:
            kept = [i for i in range(x.shape[axis]) if not stop - step <= i < stop]
            shorter = np.ascontiguousarray(x.take(kept, axis))
            if kept and broken(shorter):
                x = shorter
            stop -= step
        step //= 2
    return x
