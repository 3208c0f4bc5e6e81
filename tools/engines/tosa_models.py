"""Graphs for Arm's TOSA reference model, written as JSON of its own schema; one process computes a whole graph."""
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tools.tosa.environment import VERSION, model

BYTES = {"INT4": 1, "INT8": 1, "INT16": 2, "INT32": 4, "INT48": 6, "BOOL": 1}
STORED = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT48": np.int64, "BOOL": np.bool_}


class Graph:
    """Operators in order; `run()` gives the results asked for."""

    def __init__(self):
        self.operators, self.tensors, self.shapes, self.fed, self.asked = [], [], [], {}, {}

    def tensor(self, kind, shape, data=()):
        name = f"t{len(self.tensors) + len(self.shapes)}"
        self.tensors.append({"name": name, "shape": list(shape), "type": kind, "data": list(data)})
        return name

    def feed(self, kind, codes):
        """An input: codes of a type."""
        name = self.tensor(kind, codes.shape)
        self.fed[name] = np.ascontiguousarray(codes.astype(STORED[kind]))
        return name

    def constant(self, kind, codes):
        """A small constant, in the bytes that the schema has for it."""
        codes = np.atleast_1d(codes).astype("<i8")
        data = codes.reshape(-1, 1).view(np.uint8)[:, :BYTES[kind]]
        name = self.tensor(kind, codes.shape, data.ravel().tolist())
        self.operators.append({"op": "CONST", "attribute_type": "ConstAttribute", "attribute": {}, "inputs": [],
                               "outputs": [name]})
        return name

    def apply(self, op, attribute, inputs, kind, shape, **values):
        """The result of an operator: `attribute` names its table in the schema, `values` fill it."""
        name = self.tensor(kind, shape)
        self.operators.append({"op": op, "attribute_type": f"{attribute}Attribute", "attribute": values, "inputs": inputs,
                               "outputs": [name]})
        return name

    def ask(self, name):
        self.asked[name] = f"{name}.out.npy"
        return name

    def run(self):
        """Name to codes of everything asked for; raises RuntimeError with what the model says where it refuses."""
        program, schema = model()
        block = {"name": "main", "operators": self.operators, "tensors": self.tensors, "inputs": list(self.fed),
                 "outputs": list(self.asked), "shapes": self.shapes}
        year, minor, patch = map(int, VERSION.split("."))
        software = {"_major": year, "_minor": minor, "_micro": patch, "_modifier": ""}
        graph = {"version": {"_major": 1, "_minor": 0, "_patch": 2}, "regions": [{"name": "main", "blocks": [block]}],
                 "software_version": software, "compatibility": {"min_reader_version": software}}
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            (at / "graph.json").write_text(json.dumps(graph))
            for name, codes in self.fed.items():
                np.save(at / f"{name}.npy", codes)
            about = {"tosa_file": "graph.json", "ifm_name": list(self.fed), "ifm_file": [f"{n}.npy" for n in self.fed],
                     "ofm_name": list(self.asked), "ofm_file": list(self.asked.values()), "expected_failure": False}
            (at / "desc.json").write_text(json.dumps(about))
            ended = subprocess.run([program, "--operator_fbs", schema, "--test_desc", at / "desc.json"], capture_output=True,
                                   text=True)
            if ended.returncode:
                raise RuntimeError(f"the TOSA reference model ends with {ended.returncode}: {ended.stderr or ended.stdout}")
            return {name: np.load(at / path) for name, path in self.asked.items()}
