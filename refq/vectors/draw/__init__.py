"""Draw vectors that kill bugs: inputs and constants for an operation or a unit, by construction first, then at random.

A pack of vectors is a program of many configurations, steps `matmul.0`, `matmul.1` ...: the same operation under the
same row, with constants and small sizes of its own. So everything that a golden pack can do, it can.
"""
from dataclasses import dataclass
from itertools import islice

from refq.errors import IllFormed
from refq.graph.program import Program
from refq.vectors.diagnosis.place import Place
from refq.vectors.draw import sizes
from refq.vectors.draw.configuration import configuration, links, resolve, together
from refq.vectors.draw.sizes import CASES
from refq.vectors.scoring import score as scores

POOL = 160
"""Configurations that are tried before what is left alive is given up."""
AHEAD = 8
"""So many are looked at together; the one that kills most for its bytes is taken."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """`program` and its `inputs` (name to codes, cases in front), the mutation `score`, and `about` for the manifest."""

    program: Program
    inputs: dict
    score: scores.Score
    about: dict

    @property
    def cases(self):
        return CASES


def draw(chain, dialect, shape=None, budget=16384, seed=0, progress=None):
    """Vectors for `chain`, an operation or a role of `dialect`, or several joined by + (matmul+rescale: the result of one is
    the main operand of the next).

    `shape`: axis to size, where the sizes are given (n: rows of a case); `budget`: bytes of codes, constants and results
    included, which only a first configuration that is larger exceeds; `seed`: other vectors. The same arguments give the
    same vectors, for ever. `progress(done)` is told of every configuration tried.

    Raises IllFormed for a name or a size that there is not, and for sizes that no configuration can have.
    """
    dialect = resolve(dialect)
    chained, group, chosen, used = links(chain, dialect), scores.Group(chain), [], 0
    sizes.of(chained[0].op, chained[0].row, 0, shape)               # refuses axes that there are not
    pool = candidates(chained, dialect.name, seed, shape, progress)
    waiting = list(islice(pool, 1))               # the first is taken: its sizes say which regions there are
    while waiting and (not chosen or group.alive):
        rated = [(fresh / c.bytes, c, shown) for c in waiting if (shown := c.shown(group)) and (fresh := new(shown, group))]
        if rated:
            _, best, shown = max(rated, key=lambda r: r[0])
            chosen.append(best.index)
            group.join(list(best.place.steps), best.mutants, shown)
            scores.judge(best.place.program, group, free=True)
            used += best.bytes
        waiting = [c for _, c, _ in rated if c.bytes <= budget - used and c is not best] if rated else []
        fitting = (c for c in pool if c.bytes <= budget - used)
        waiting += islice(fitting, AHEAD - len(waiting))
    if not chosen:
        raise IllFormed(f"{chain}: no configuration of these sizes can be run; give other sizes")
    program, inputs = again(chain, dialect, chosen, shape, seed)
    score = scores.Score((group,), "drawn constants")
    about = {"vectors": {"chain": chain, "dialect": dialect.name, "shape": shape or {}, "budget": budget, "seed": seed,
                         "configurations": chosen, "bytes": used}, "mutation_score": score.json()}
    return Vectors(program, inputs, score, about)


def again(chain, dialect, configurations, shape=None, seed=0):
    """(program, inputs) of vectors whose `configurations` are known, as the manifest names them: the same ones, at once."""
    dialect = resolve(dialect)
    chained = links(chain, dialect)
    made = [configuration(chained, dialect.name, number, index, seed, shape) for number, index in enumerate(configurations)]
    return together(made, dialect.name)


class Candidate:
    """A configuration that may join: `index`, its style; `bytes`; `place`, where its mutants run."""

    def __init__(self, made, index, program):
        self.index, self.bytes = index, made.bytes
        self.place = Place(program, made.steps, made.inputs)
        self.mutants = scores.mutants_of(program, list(made.steps))

    def shown(self, group):
        """Pair (mutant, region) to whether it is killed here, for mutants that have one alive or new to the group."""
        found = {}
        for mutant in self.mutants:
            pairs = [(mutant.name, region) for region in scores.region_names(self.place, mutant)]
            if mutant.name not in group.equivalent and not all(group.dead.get(p) for p in pairs):
                found |= scores.kills(self.place, mutant)
        return found


def candidates(chained, dialect, seed, shape, progress):
    """Every Candidate that can be run, in order."""
    for index in range(POOL):
        if progress:
            progress(1)
        try:
            made = configuration(chained, dialect, 0, index, seed, shape)
            program = together([made], dialect)[0]
            program.prove()
        except IllFormed:                       # a register could overflow
            continue
        yield Candidate(made, index, program)


def new(shown, group):
    """How many pairs are killed that were alive; for the first configuration all are new."""
    return sum(killed and not group.dead.get(pair, bool(group.dead)) for pair, killed in shown.items())
