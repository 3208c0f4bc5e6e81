"""Runs model.onnx, which lies beside this file, on the cases of a folder (kernels/kernel_files.py): session.py FOLDER.

Alone in a process, so that an emulator can be put in front of it. Needs numpy and onnxruntime, and nothing of refq.
"""
import sys
from pathlib import Path

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"), options, providers=["CPUExecutionProvider"])
taken, given = session.get_inputs()[0], session.get_outputs()[0]
for case in sorted(folder for folder in Path(sys.argv[1]).iterdir() if folder.is_dir()):
    x = np.fromfile(case / "x.bin", {"tensor(uint8)": "u1", "tensor(int8)": "i1"}[taken.type]).reshape(taken.shape)
    session.run([given.name], {taken.name: x})[0].tofile(case / "y.bin")
