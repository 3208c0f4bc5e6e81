"""check_quantizer: every law of a quantizer on every critical real of a grid, and on drawn arrays; what breaks, made small.

    from refq.testing import check_quantizer
    print(check_quantizer(quantize, dequantize, grid))

`quantize(x, grid)` gives integer codes of a float array, `dequantize(codes, grid)` the reals; both heed the grid that they are
given (its scale, zero, width, lo, hi, axis, block; `grid.over(x.shape)` gives scale and zero point as they broadcast). `faked`
makes the pair of a function that goes from reals to reals.
"""
import numpy as np

from refq.errors import IllFormed, nearest
from refq.ints import rounding
from refq.testing import places, quantizer_laws, reproduce
from refq.testing.found import Broken, LawBroken, Report, attempted
from refq.testing.smallest import smallest
from refq.testing.ties import arithmetic, ties

EXAMPLES = 40
"""Arrays that are drawn for every law, beside those that hold all critical reals."""


def laws(claims=(), waived=()):
    """Name to law: those that hold for every quantizer without the `waived`, and the `claims`; raises IllFormed for a name that
    there is not."""
    every = {law.__name__: law for law in quantizer_laws.LAWS}
    more = {law.__name__: law for law in quantizer_laws.CLAIMS}
    for name in claims:
        if name not in more:
            raise IllFormed(f"a claim {name!r}: {nearest(name, tuple(more))}")
    for name in waived:
        if name not in every:
            raise IllFormed(f"a law {name!r} that is waived: {nearest(name, tuple(every))}")
    return {n: law for n, law in every.items() if n not in waived} | {n: more[n] for n in claims}


def inputs(grid, dtype, examples=EXAMPLES):
    """Arrays that the grid takes: all critical reals, in order and in another, and `examples` that are drawn; the last of them
    with infinities in a second list."""
    pool = places.places(grid, dtype)
    mixed = np.random.default_rng(1).permuted(pool, axis=1)
    drawn = drawn_arrays(grid, dtype, examples)
    finite = [*places.arrays(grid, pool), *places.arrays(grid, mixed), *(places.finite(x) for x in drawn)]
    ends = np.resize(np.array([np.inf, -np.inf], pool.dtype), (len(pool), 2))
    return finite, [*places.arrays(grid, np.concatenate([pool, ends], 1)), *drawn]


def drawn_arrays(grid, dtype, examples):
    """The same ones whenever it is asked; none inside a test of Hypothesis, which allows no search in a search."""
    from hypothesis import HealthCheck, currently_in_test_context, given, settings

    from refq.testing.strategies import tensors
    made = []
    if currently_in_test_context():
        return made

    @settings(max_examples=max(examples, 1), deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))
    @given(tensors(grid, dtype, (np.inf, -np.inf)))
    def draw(x):
        made.append(x)

    draw()
    return made[:examples]


def examine_quantizer(quantize, dequantize, grid, claims=(), waived=(), ties_are=None, dtype=np.float32, examples=EXAMPLES):
    """The Report of a quantizer: which laws hold, which are broken and by what, the tie rule by name, and for affine grids of at
    most 16 bits the arithmetic of its quotients.

    `grid`: of any kind in refq.grids; `claims`: names of quantizer_laws.CLAIMS that it promises; `waived`: names of
    quantizer_laws.LAWS that it does not; `ties_are`: a name of refq.ints.rounding that it claims; `dtype`: of x, float16,
    float32 or float64. Raises IllFormed for names that there are not, and for what is no grid."""
    if not all(hasattr(grid, name) for name in ("kind", "lo", "hi", "encode", "decode")):
        raise IllFormed(f"a grid of type {type(grid).__name__}; give one of refq.grids, such as grids.affine.Affine(I8, 0.1, 3)")
    if ties_are is not None:
        rounding.word(ties_are)
    asked = laws(claims, waived)
    finite, all_kinds = inputs(grid, dtype, examples)
    held, broken, idle = [], [], []
    for name, law in asked.items():
        if not applies(law, grid):
            idle.append(name)
            continue
        found = judged(law, quantize, dequantize, grid, (finite, all_kinds), dtype)
        if found is None:
            held.append(name)
        else:
            broken.append(found)
    rule = attempted_ties(quantize, grid, dtype)
    identified = {"ties": str(rule)} | of_quotients(quantize, grid, rule, dtype) | {"NaN": of_nan(quantize, grid, dtype)}
    if ties_are is not None:
        said = None if ties_are in getattr(rule, "rules", ()) else f"{ties_are} is claimed, and ties are {rule}"
        held, broken = told(held, broken, claimed_ties(ties_are, said), quantize, dequantize, grid, finite[0], said)
    return Report(tuple(held), tuple(broken), tuple(idle), identified, len(finite))


def told(held, broken, law, quantize, dequantize, grid, x, said):
    if said is None:
        return [*held, law.__name__], broken
    text = f"# {law.__doc__}\nfrom refq.testing.ties import ties\n\nprint(ties(quantize, grid))        # {said}\n"
    return held, [*broken, Broken(law.__name__, law.__doc__, said, x[:0], text)]


def claimed_ties(name, said):
    def ties_as_claimed(quantize, dequantize, grid, x):
        return said
    ties_as_claimed.__doc__ = f"Ties are {name}, as claimed."
    return ties_as_claimed


def attempted_ties(quantize, grid, dtype):
    try:
        return ties(quantize, grid, dtype)
    except Exception as error:          # whatever the code under test raises
        return f"not found: it raises {type(error).__name__}: {error}"


def of_quotients(quantize, grid, rule, dtype):
    """What is known of the arithmetic: of affine grids per tensor, where float32 numbers and ties go by one rule."""
    form = places.affine(grid)
    if form is None or places.sliced(grid) or form.width.bits > 16 or form.narrow or not getattr(rule, "rules", ()) \
            or np.dtype(dtype) != np.float32:
        return {}
    try:
        rows = arithmetic(quantize, form.width, rule.rules)
    except Exception:                   # it takes no other grid than the one given
        return {}
    return {"arithmetic": " or ".join(rows) or "none of the rows of refq.ops.quantize"}


def applies(law, grid):
    """Has the grid anything that the law is about?"""
    return quantizer_laws.ONLY_WHERE.get(law, lambda grid: True)(grid)


def broken_by(law, quantize, dequantize, grid, dtype=np.float32, examples=EXAMPLES):
    """The Broken of one law, or None where it holds."""
    return judged(law, quantize, dequantize, grid, inputs(grid, dtype, examples), dtype) if applies(law, grid) else None


def of_nan(quantize, grid, dtype):
    """What a NaN becomes, as text."""
    codes, refused = quantizer_laws.of_nan(quantize, grid, np.zeros(places.shape(grid, 1), dtype))
    if refused:
        return f"refused: {refused[:120]}"
    found = sorted(set(np.ravel(codes).tolist()))
    names = {grid.lo: ", the lowest", grid.hi: ", the highest"}
    zero = " (0)" if (grid.decode(codes) == 0).all() else ""
    return f"code {' or '.join(map(str, found))}{names.get(found[0], '') if len(found) == 1 else ''}{zero}"


def judged(law, quantize, dequantize, grid, arrays, dtype):
    """The Broken of one law, or None where it holds on all `arrays` (two lists: finite ones, and all)."""
    infinite = law in quantizer_laws.INFINITE
    def said(x):
        return attempted(law, quantize, dequantize, grid, x.copy())

    failing = next((x for x in arrays[infinite] if said(x)), None)
    if failing is None:
        return None
    special = (np.inf, -np.inf) if infinite else ()
    x = smallest(lambda x: said(x) is not None, grid, failing, dtype, special)
    text = reproduce.of_quantizer(law, quantize, dequantize, grid, x)
    return Broken(law.__name__, reproduce.sentence(law), said(x) or said(failing) or "it held when asked again", x, text)


def check_quantizer(quantize, dequantize, grid, claims=(), waived=(), ties_are=None, dtype=np.float32, examples=EXAMPLES):
    """`examine_quantizer`, for a test: raises LawBroken, an AssertionError with the report as its text, where a law is broken;
    gives the Report where all hold."""
    report = examine_quantizer(quantize, dequantize, grid, claims, waived, ties_are, dtype, examples)
    if not report.passed:
        raise LawBroken(report)
    return report


def faked(function):
    """(quantize, dequantize) of a function fake(x, grid) from reals to reals: the code is that of the level it gives; a result
    that is no level raises ValueError."""
    def quantize(x, grid):
        y = np.asarray(function(x, grid))
        codes = grid.encode(y)
        level = grid.decode(codes)
        off = ~(np.abs(y - level) <= 4 * np.spacing(np.abs(level).astype(y.dtype)))
        if off.any():
            raise ValueError(f"the result {y[off][0]!r} is no level of the grid; the nearest is {level[off][0]!r}")
        return codes

    def dequantize(codes, grid):
        return np.asarray(function(np.asarray(grid.decode(codes), np.float32), grid))

    quantize.faked, dequantize.faked = (0, function), (1, function)         # for reproducers
    return quantize, dequantize
