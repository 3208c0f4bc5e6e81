"""Record: run a program on some inputs and write a golden pack: whole, or not at all.

The spec engine runs beside the kernels: its sites count the events, and the two must agree on every tensor recorded.
"""
import json
import os
import shutil
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
from refq.vectors.pack import read


def record(program, inputs, out, cases=16, seed=0, about=None, progress=iter):
    """Write a golden pack of `program` into the folder `out` and give it back as a Pack.

    `inputs`: images (n *shape), float, or codes of the input's own dtype; or input name to such an array. Of more than
    `cases` images, `seed` decides which are recorded, in their order. `about`: what else the manifest should say, in
    JSON's kinds. `progress`: wraps the list of cases, as progress bars do. `out` must not exist, or be empty; it
    appears only when every file in it is complete and synced.

    Raises IllFormed for inputs of a wrong shape, dtype or range, for no input at all, and for an `out` that is not
    empty; RefqError where the disk is full or cannot be written.
    """
    out = Path(out).absolute()
    if not isinstance(cases, int) or cases < 1:
        raise IllFormed(f"{cases} cases: a pack holds at least 1")
    inputs, images = chosen(program, inputs, cases, seed)
    with appearing(out) as folder:
        store.save(program, folder)
        (folder / "cases").mkdir()
        hashes, events = [], {}
        for i in progress(range(len(images))):
            codes = run_both({name: array[i:i + 1] for name, array in inputs.items()}, program, events)
            hashes.append({name: codes_hash(array, program.tensors[name]) for name, array in codes.items()})
            store.write(folder / manifests.case_file(i), serialized(codes))
        seen = [{"step": step, "site": site, **counts} for (step, site), counts in events.items()]
        manifest = manifests.made(program, hashes, images, seed, seen, about or {})
        store.write(folder / manifests.NAME, json.dumps(manifest, indent=1).encode())
        sync(folder / "cases")
    return read(out)


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


def run_both(inputs, program, events):
    """Every tensor of one image by the kernels, each equal to the spec's; adds what the sites saw to `events`."""
    codes = {name: np.asarray(array[0], order="C") for name, array in inputs.items()}
    at, counted = Events(), set()

    def keep(step, name, array):
        codes[name] = np.array(array[0], order="C")

    def compare(step, name, array):
        if step.name not in counted:
            counted.add(step.name)
            for site, seen in at.take().items():
                counts = events.setdefault((step.name, site), dict.fromkeys(seen, 0))
                for kind, count in seen.items():
                    counts[kind] += count
        if not np.array_equal(array[0], codes[name]):
            wrong = np.count_nonzero(array[0] != codes[name])
            raise RefqError(f"internal error: kernel and spec of step {step.name!r} ({step.op}) differ in {wrong} of "
                            f"{array.size} elements of {name!r}; nothing was recorded, please report this")

    program.run(inputs, watch=keep)
    program.run(inputs, engine="spec", at=at, watch=compare)
    return codes


@contextmanager
def appearing(out):
    """A folder beside `out` that takes its name when the block is through, and vanishes when it is not."""
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise IllFormed(f"{out}: exists and is not an empty folder; choose another place or remove it")
    part = out.parent / f".{out.name}.{uuid4().hex[:8]}.part"
    try:
        try:
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


def sync(folder):
    """A folder's entries reach the disk; where folders cannot be opened (Windows), the system sees to it itself."""
    with suppress(PermissionError):
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
