"""The mutation score of vectors that lie on disk: of a pack, or of a dump together with the pack whose program it is for."""
from pathlib import Path

import numpy as np

from refq.errors import IllFormed
from refq.vectors.dump import sources
from refq.vectors.manifest import NAME
from refq.vectors.pack import read
from refq.vectors.scoring import score as scores


def score(vectors, pack=None):
    """The score of `vectors` in JSON's kinds: a pack's folder, or a dump that holds every input of the program of `pack`.

    Constants are drawn vectors themselves in a pack that `refq vectors` wrote, and given in any other. Raises IllFormed
    where neither says which program, and where an input is missing or is not as the program takes it.
    """
    if pack is None and not (Path(vectors) / NAME).is_file():
        raise IllFormed(f"{vectors}: is no pack (a folder with {NAME}); say with --pack whose program it is for")
    whose = read(pack if pack is not None else vectors)
    if pack is None:
        cases = [whose.case(i) for i in range(whose.cases)]
        codes = {name: np.stack([case[name] for case in cases]) for name in whose.program.inputs}
    else:
        codes = inputs(vectors, whose.program)
    free = "vectors" in whose.manifest["about"]
    made = scores.score(whose.program, codes, free)
    return {"vectors": str(vectors), "cases": len(next(iter(codes.values()))), **made.json()}


def inputs(vectors, program):
    """Every input of a program from a dump: one array of all cases, or one for each case, by the name of the tensor."""
    found, dotted = {}, {name.replace("/", "."): name for name in program.inputs}
    for key, _, load in arrays(vectors, program):
        case, _, rest = key.partition("/")
        if (name := dotted.get(key.replace("/", "."))) is not None:
            found.setdefault(name, {})[-1] = load()
        elif case.isdecimal() and (name := dotted.get(rest.replace("/", "."))) is not None:
            found.setdefault(name, {})[int(case)] = load()
    if missing := [name for name in program.inputs if name not in found]:
        raise IllFormed(f"{vectors}: has no array for input {missing[0]!r}; vectors hold all inputs of the program: "
                        f"{', '.join(program.inputs)[:300]}")
    return {name: parts[-1] if -1 in parts else np.stack([parts[i] for i in sorted(parts)]) for name, parts in found.items()}


def arrays(vectors, program):
    """(key, where, loader) of every array: of a dump's own files, or of the .pb files of an ONNX test_data_set."""
    path = Path(vectors)
    protos = sorted(path.rglob("input_*.pb")) if path.is_dir() else [path] if path.suffix == ".pb" else []
    return [tensor(file, path, program) for file in protos] or sources(vectors)


def tensor(file, folder, program):
    """One TensorProto: named, or known by the number in its file's name; the data set's number is the case."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper
    try:
        proto = onnx.load_tensor(str(file))
        array = numpy_helper.to_array(proto)
    except (DecodeError, ValueError, TypeError, OSError) as e:
        raise IllFormed(f"{file}: cannot be read as an ONNX TensorProto: {e}") from None
    number = file.stem.rpartition("_")[2]
    name = proto.name if proto.name in program.inputs else None
    if name is None and number.isdecimal() and int(number) < len(program.inputs):
        name = program.inputs[int(number)]
    if name is None:
        raise IllFormed(f"{file}: holds {proto.name!r}, which is no input of the program: {', '.join(program.inputs)[:300]}")
    case = file.parent.name.rpartition("_")[2]
    return (f"{int(case)}/{name}" if file.parent.name.startswith("test_data_set") and case.isdecimal() else name, str(file),
            lambda: array)
