"""Pack: a golden pack that lies on disk, read with all its checks.

    manifest.json               what the pack says about itself
    program.onnx                the program
    tensors.safetensors         its constants
    cases/0000.safetensors ...  inputs, every intermediate tensor and outputs of one case, without a batch axis
"""
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from refq.errors import Corrupt, IllFormed
from refq.graph import store
from refq.graph.describe import codes_hash
from refq.graph.program import Program
from refq.vectors import manifest as manifests


@dataclass(frozen=True, eq=False)
class Pack:
    """`folder`: where it lies; `manifest`: as JSON; `program`: what was recorded."""

    folder: Path
    manifest: dict
    program: Program

    @property
    def hash(self):
        """The pack hash, 64 hex digits."""
        return self.manifest["pack_hash"]

    @property
    def cases(self):
        """How many cases there are."""
        return len(self.manifest["cases"])

    @cached_property
    def recorded(self):
        """The names of the tensors of a case: inputs, then the results of the steps in program order."""
        return (*self.program.inputs, *(t for s in self.program.steps for t in s.outputs.values()))

    @cached_property
    def steps(self):
        """Tensor to the step that makes it; inputs have none."""
        return {name: step for step in self.program.steps for name in step.outputs.values()}

    def case(self, i):
        """The tensors of case i: name to codes (*shape). Raises Corrupt naming the file and the tensor changed."""
        path = self.folder / self.manifest["cases"][i]
        try:
            codes = load_file(path)
        except FileNotFoundError:
            raise Corrupt(f"{path}: no such file; the pack is incomplete, fetch or record it anew") from None
        except (SafetensorError, OSError, ValueError) as e:
            raise Corrupt(f"{path}: not a readable safetensors file: {e}") from None
        if strange := set(codes) ^ set(self.recorded):
            name = min(strange)
            raise Corrupt(f"{path}: tensor {name!r} is {'not in the program' if name in codes else 'missing'}; "
                          "the file was changed after the pack was recorded")
        for name in self.recorded:
            tensor = self.program.tensors[name]
            if codes[name].shape != tensor.shape or codes[name].dtype != tensor.width.dtype \
                    or codes_hash(codes[name], tensor) != self.manifest["tensors"][name]["sha256"][i]:
                raise Corrupt(f"{path}: tensor {name!r} was changed after the pack was recorded: "
                              f"its codes do not have the sha256 in {manifests.NAME}")
        return {name: codes[name] for name in self.recorded}

    def check(self):
        """Read every case once; raises Corrupt naming the first file and tensor that was changed."""
        for i in range(self.cases):
            self.case(i)

    @property
    def events(self):
        """How often each kind of event was seen while the pack was recorded."""
        kinds = ("ties", "saturations", "wraps", "overflows")
        return {kind: sum(site[kind] for site in self.manifest["events"]) for kind in kinds}


def read(folder):
    """The Pack in `folder`: manifest by its schema, program, constants and hashes checked; a case when it is read.

    Raises Corrupt with a sentence that says which was changed: the manifest (and where in it), program.onnx, a tensor
    of tensors.safetensors, or a case (then from `Pack.case` and `Pack.check`); IllFormed for what is no folder.

    >>> read("no such pack")
    Traceback (most recent call last):
    refq.errors.Corrupt: no such pack/manifest.json: no such file; a pack is a folder that `refq golden` has written
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise IllFormed(f"a pack is {manifests.shortened(repr(folder))}; it is a folder with {manifests.NAME}")
    folder = Path(folder)
    path = folder / manifests.NAME
    manifest = manifests.read(path)
    sealed = manifest["seal"] == manifests.seal(manifest)
    program = store.load(folder)
    hashes = hashes_in(manifest, program, path)
    true = manifests.derived(program, hashes)
    place = manifests.difference({k: manifest[k] for k in true}, true)
    if not sealed:
        where = place or "events, seed, images, about, refq or the seal itself"
        raise Corrupt(f"{path}: was changed after the pack was recorded, in {where}; fetch or record the pack anew")
    if place and place.startswith("tensors.") and ".sha256" in place:
        name = place.removeprefix("tensors.").rsplit(".sha256", 1)[0]
        raise Corrupt(f"{folder / store.TENSORS}: constant {name!r} was changed after the pack was recorded: "
                      f"its codes do not have the sha256 in {manifests.NAME}")
    if place:
        constant = first_changed(manifest, true, program)
        if constant:
            raise Corrupt(f"{folder / store.TENSORS}: constant {constant!r} was changed after the pack was recorded: "
                          f"its codes do not have the sha256 in {manifests.NAME}")
        raise Corrupt(f"{folder / store.MODEL}: was changed after the pack was recorded: {place} in {manifests.NAME} "
                      "does not follow from it")
    return Pack(folder, manifest, program)


def first_changed(manifest, true, program):
    """The first constant whose codes are not those that the manifest names."""
    said = manifest["tensors"]
    return next((n for n in program.constants if n in said and said[n]["sha256"] != true["tensors"][n]["sha256"]), None)


def hashes_in(manifest, program, path):
    """For each case, tensor to sha256, as the manifest says."""
    made = []
    for i in range(len(manifest["cases"])):
        case = {}
        for name in program.tensors:
            if name in program.constants:
                continue
            said = manifest["tensors"].get(name, {}).get("sha256", [])
            if len(said) != len(manifest["cases"]):
                raise Corrupt(f"{path}: tensors.{name} has {len(said)} hashes for {len(manifest['cases'])} cases; "
                              "the manifest or program.onnx was changed after the pack was recorded")
            case[name] = said[i]
        made.append(case)
    return made
