"""Asked: what a function or a model is asked that takes arrays by name and gives arrays: a unit, or the whole program."""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed, RefqError


@dataclass(frozen=True, eq=False)
class Wanted:
    """A tensor that may be given: `names` that an array of it may carry; `shapes` that it may have, the tensor's own one
    last."""

    tensor: object
    names: tuple
    shapes: tuple


@dataclass(frozen=True, eq=False)
class Asked:
    """`name`, `steps`: of the unit; `given`: for each case, name to array; `own`: of what is given the names, one each;
    `live`: those that are no constants, in order; `grids`: of those, name to Grid (or None); `wanted`: what may be given;
    `results`: the Wanted that go by order; `needed`: those that must be given."""

    name: str
    steps: tuple
    given: list
    own: tuple
    live: tuple
    grids: dict
    wanted: list
    results: list
    needed: list

    def sorted_in(self, arrays, where):
        """Tensor name to codes, of the arrays (by name, or by place "0", "1" ...) that one call gave. Raises RefqError for
        what is missing, is no result, or holds no codes."""
        if arrays.keys() <= {str(i) for i in range(len(self.results))}:
            arrays = {self.results[int(i)].names[0]: array for i, array in arrays.items()}
        found = {}
        for name, array in arrays.items():
            wanted = next((w for w in self.wanted if name in w.names), None)
            if not wanted:
                raise RefqError(f"gives {name!r}, which is no result; results are {', '.join(w.names[0] for w in self.results)}")
            found[wanted.tensor.name] = codes(array, name, wanted)
        if missing := [w.names[0] for w in self.needed if w.tensor.name not in found]:
            raise RefqError(f"gives no {missing[0]!r}; give {', '.join(w.names[0] for w in self.results)}, as one array, as a "
                            "tuple in this order, or as a dict")
        if not found:
            raise RefqError(f"gives nothing; give {', '.join(w.names[0] for w in self.results)}")
        return found


def codes(array, name, wanted):
    """An array that was given as codes (*shape) of its tensor, integers of any kind; a float one only where each value
    is one of its grid, to the last bit."""
    tensor = wanted.tensor
    if array.shape not in wanted.shapes:
        raise RefqError(f"gives {name!r} of shape {array.shape}; expected is {tensor.shape}")
    array = array.reshape(tensor.shape)
    if array.dtype.kind == "f":
        return encoded(array, name, tensor)
    if array.dtype.kind not in "iu" or array.dtype == np.uint64 and array.size and array.max() >= 2**63:
        raise RefqError(f"gives {name!r} as {array.dtype}; {tensor.width} codes are integers, give {tensor.width.dtype}")
    return array.astype(np.int64)


def encoded(array, name, tensor):
    if np.isnan(array).any():
        raise RefqError(f"gives NaN in {name!r}; {tensor.width} codes are integers, give {tensor.width.dtype}")
    if tensor.grid is None or array.dtype != np.float32:
        raise RefqError(f"gives {name!r} as {array.dtype}; {tensor.width} codes are integers, give {tensor.width.dtype}")
    found = tensor.grid.encode(array, "half_even")
    again = tensor.grid.decode(found).astype(np.float32)
    if not np.array_equal(again, array):
        value = array[again != array].flat[0]
        raise RefqError(f"gives {name!r} as float32, and {value!r} is no value of its grid of {tensor.width} codes; give the "
                        f"codes as {tensor.width.dtype}")
    return found.astype(np.int64)


def of_unit(unit, golden):
    """A unit: operands by their names in the operation (`acc`, or `rescale_zp` where a name means two), as the operation
    takes them; results likewise, or by the tensors' names."""
    keys = {key.replace(".", "_"): key for key, meant in unit.taken.items() if len(meant) == 1}
    constants, names = unit.program.constants, {}
    for name, key in keys.items():
        names.setdefault(next(iter(unit.taken[key])), []).append(name)
    given = [{name: np.asarray(unit.operand(key, case, "")) for name, key in keys.items()} for case in golden]
    live = tuple(found[0] for tensor, found in names.items() if tensor not in constants)
    results = {}
    for key, meant in unit.given.items():
        if len(meant) == 1:
            results.setdefault(next(iter(meant)), []).append(key)
    wanted = []
    for tensor, found in results.items():
        shape = unit.program.tensors[tensor].shape
        own = next(iter(unit.given[found[0]].values())).view(np.broadcast_to(np.int8(0), (1, *shape))).shape
        wanted.append(Wanted(unit.program.tensors[tensor], (*found, *(k.replace(".", "_") for k in found), tensor),
                             (own, (1, *shape), shape)))
    needed = [w for t in unit.steps[-1].outputs.values() for w in wanted if w.tensor.name == t]
    return Asked(unit.name, tuple(unit.steps), given, tuple(f[0] for f in names.values()), live, {}, wanted, needed, needed)


def of_program(pack, golden):
    """The whole program: its inputs by name (*shape), of one case; its outputs in order, and any other tensor by name."""
    program = pack.program
    wanted = {name: Wanted(program.tensors[name], (name,), ((1, *program.tensors[name].shape), program.tensors[name].shape))
              for name in pack.recorded}
    if not program.outputs:
        raise IllFormed("the program of the pack has no output to compare")
    return Asked("of the whole program", tuple(program.steps), [{n: case[n] for n in program.inputs} for case in golden],
                 tuple(program.inputs), tuple(program.inputs), {n: program.tensors[n].grid for n in program.inputs},
                 list(wanted.values()), [wanted[name] for name in program.outputs], [])
