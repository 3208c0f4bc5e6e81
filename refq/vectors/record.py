"""Record: run a program on some inputs and write a golden pack: whole, or not at all.

The spec engine runs beside the kernels: its sites count the events, and the two must agree on every tensor recorded.
"""
import json
import os
import platform
import re
import shutil
from collections import Counter
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import numpy as np
from safetensors.numpy import save as serialized

from refq.errors import IllFormed, RefqError
from refq.graph import store
from refq.graph.describe import codes_hash
from refq.vectors import manifest as manifests
from refq.vectors.events import Events
from refq.vectors.pack import Pack

ROOM = 64 << 20
"""Bytes of tensors that are held at once while recording; one image may need more."""


def record(program, inputs, out, cases=16, seed=0, about=None, progress=None):
    """Write a golden pack of `program` into the folder `out` and give it back as a Pack.

    `inputs`: images (n *shape), float, or codes of the input's own dtype; or input name to such an array. Of more than
    `cases` images, `seed` decides which are recorded, in their order. `about`: what else the manifest should say, in
    JSON's kinds. `progress(done)` is told of every case recorded. `out` must not exist, or be empty; it appears only
    when every file in it is complete and synced.

    Raises IllFormed for inputs of a wrong shape, dtype or range, for no input at all, and for an `out` that is not
    empty; RefqError where the disk is full or cannot be written.

    >>> import refq, tempfile
    >>> from refq import embedded
    >>> images = embedded.as_input(embedded.calibration()[:8])
    >>> program = refq.quantize(refq.load(embedded.network()), images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pack = refq.record(program, images, f"{folder}/pack", cases=2)
    ...     pack.cases, len(pack.hash), len(pack.case(1)) == len(pack.recorded)
    (2, 64, True)
    """
    out = Path(out).absolute()
    if not isinstance(cases, int) or cases < 1:
        raise IllFormed(f"{cases} cases: a pack holds at least 1")
    inputs, images = chosen(program, inputs, cases, seed)
    with appearing(out) as folder:
        store.save(program, folder)
        (folder / "cases").mkdir()
        hashes, events, left = [], {}, {}
        for part in groups(program, len(images)):
            together = run_both({name: array[part] for name, array in inputs.items()}, program, events,
                                left, part.start)
            for i in range(part.start, part.stop):
                codes = {name: np.array(array[i - part.start], order="C") for name, array in together.items()}
                hashes.append({name: codes_hash(array, program.tensors[name]) for name, array in codes.items()})
                store.write(folder / manifests.case_file(i), serialized(codes))
                if progress:
                    progress(i + 1)
        seen = [{"step": step, "site": site, **counts, **furthest(left.get((step, site)))}
                for (step, site), counts in events.items()]
        manifest = manifests.made(program, hashes, images, seed, seen, about or {})
        store.write(folder / manifests.NAME, json.dumps(manifest, indent=1).encode())
        sync(folder / "cases")
    return Pack(out, manifest, program)


def chosen(program, inputs, cases, seed):
    """The codes of the images to record, by input, and which images they are. No library's random stream is used: the
    choice is the same everywhere and for ever."""
    inputs = inputs if isinstance(inputs, dict) else {program.inputs[0]: inputs}
    inputs = {name: np.asarray(array) for name, array in inputs.items()}
    if strange := [name for name in inputs if name not in program.inputs]:
        raise IllFormed(f"an input {strange[0]!r}; the network takes {', '.join(program.inputs)}")
    counts = {len(a) if a.ndim else 0 for a in inputs.values()}
    if counts == {0} or not counts:
        raise IllFormed("no images: a pack records at least one")
    total = min(counts)
    order = sorted(range(total), key=lambda i: sha256(f"{seed}:{i}".encode()).digest())
    images = sorted(order[:cases])
    codes = {}
    for name, array in inputs.items():
        some = array[images] if len(counts) == 1 else array
        codes[name] = program.encode(some, name) if array.dtype.kind == "f" else some
    program.admit(codes)
    return codes, images


def groups(program, images):
    """Ranges of cases that run together: as many as fit into ROOM with all their tensors."""
    each = sum(t.bytes for name, t in program.tensors.items() if name not in program.constants)
    step = max(1, ROOM // max(1, each))
    return [slice(i, min(i + step, images)) for i in range(0, images, step)]


def furthest(found):
    """The manifest's words on what left the width of a site: the case and the index of the first, and the furthest value."""
    if found is None:
        return {}
    case, left = found
    worst = left.worst if np.isfinite(left.worst) else str(left.worst)
    return {"left": {"case": case, "index": list(left.index), "worst": worst, "width": str(left.width)}}


def run_both(inputs, program, events, left, first):
    """Every tensor of some images by the kernels, name to codes (n *shape), each equal to the spec's; adds what the
    sites saw to `events`, and to `left` (case, Left) of what left its width; `first`: which case the first image is."""
    parts, at, checked, done = {}, Events(), Counter(), Counter()

    def keep(step, name, array):
        parts.setdefault(name, []).append(array.copy())

    def compare(step, name, array):
        for site, seen in at.take().items():
            counts = events.setdefault((step.name, site), dict.fromkeys(seen, 0))
            for kind, count in seen.items():
                counts[kind] += count
        for site, found in at.furthest().items():
            before = left.get((step.name, site))
            case = first + done[step.name] + found.index[0] * len(array) // found.shape[0] if found.index else first
            left[step.name, site] = (before[0], before[1].joined(found)) if before else (case, found)
        done[step.name] += len(array) if name == next(reversed(step.outputs.values())) else 0
        kernel = parts[name][checked[name]]
        checked[name] += 1
        if wrong := np.count_nonzero(array != kernel):
            raise RefqError(f"internal error: kernel and spec of step {step.name!r} ({step.op}) differ in {wrong} of "
                            f"{array.size} elements of {name!r}; nothing was recorded, please report this")

    program.run(inputs, watch=keep)
    program.run(inputs, engine="spec", at=at, watch=compare)
    return inputs | {name: np.concatenate(arrays) for name, arrays in parts.items()}


def refuse_occupied(out):
    """Raises IllFormed where a pack cannot appear: `out` exists and is not an empty folder."""
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise IllFormed(f"{out}: exists and is not an empty folder; choose another place or remove it")


@contextmanager
def appearing(out):
    """A folder beside `out` that takes its name when the block is through, and vanishes when it is not."""
    refuse_occupied(out)
    part = out.parent / f".{out.name}.{machine()}-{os.getpid()}-{uuid4().hex[:8]}.part"
    try:
        try:
            remove_stale(out)
            part.mkdir(parents=True)
            yield part
            sync(part)
            if out.exists():
                out.rmdir()
            os.rename(part, out)
            sync(out.parent)
        except OSError as e:
            if isinstance(e, RefqError):
                raise
            raise RefqError(f"{out}: no pack was written: {e.strerror or e}; make room, or choose another place") from e
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(part)
        raise


def machine():
    """Eight hex digits for this machine: on a shared disk only its own processes can be asked for."""
    return sha256(platform.node().encode()).hexdigest()[:8]


def remove_stale(out):
    """Remove the unfinished folders that recordings into `out` left which were killed, and run no more."""
    name = re.compile(rf"\.{re.escape(out.name)}\.{machine()}-([1-9][0-9]{{0,8}})-[0-9a-f]{{8}}\.part")
    for folder in out.parent.iterdir() if out.parent.is_dir() else ():
        found = name.fullmatch(folder.name)
        if found and not alive(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def alive(pid):
    """Does a process of this number run? Where that cannot be asked (Windows), it is taken to."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync(folder):
    """A folder's entries reach the disk; where folders cannot be opened (Windows), the system sees to it itself."""
    with suppress(PermissionError):
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
