"""How long calibration takes and how much room it needs: drawn images of 224x224x3 through a DeiT-tiny sized network.

    python tools/bench/calibrate.py                                 1,000 images, percentile and entropy_tensorrt
    python tools/bench/calibrate.py --images 50 --calibrators mse --model FILE.onnx

For each calibrator: seconds an image of the float evaluation, and how much longer it takes where the calibrators look on (each
image is evaluated both ways in turn), the share of the latter, seconds of the ranges at the end, and the peak of the process's
memory after the first image, after a tenth of the images and after all of them. Each runs in a process of its own. The first two
by the clock, and by the processor: what all threads of the process spent, which others' work hardly moves. The clock depends on
it, so the load of the machine stands there too.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import deit
import numpy as np

from refq import dialects, load, recipes
from refq.graph import calibrate


class Drawn:
    """`count` images, each drawn when it is asked for, so that the set takes no room."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __iter__(self):
        return (deit.images(1, seed)[0] for seed in range(self.count))


def peak():
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def clocks():
    """Seconds of the clock and of the processor, of all threads."""
    return np.array([time.perf_counter(), time.process_time()])


def measured(model, name, count):
    """The figures of one calibrator."""
    spent, peaks, evaluate = {"alone": 0.0, "all": 0.0}, {}, calibrate.evaluate

    def timed(graph, inputs, watch, **functions):
        start = clocks()
        evaluate(graph, inputs, **functions)
        spent["start"] = clocks()
        spent["alone"] = spent["alone"] + spent["start"] - start
        return evaluate(graph, inputs, watch=watch, **functions)

    def progress(done):
        spent["all"] = spent["all"] + clocks() - spent["start"]
        if done == 1:           # what is compiled and imported on first use is none of the calibrator's
            spent.update(alone=0.0, all=0.0)
        if done in (1, max(count // 10, 2), count):
            peaks[done] = round(peak(), 1)

    calibrate.evaluate = timed
    recipe = replace(recipes.load("int8"), name="bench", calibrator=name, wide="minmax")
    target = dialects.load("tflite")
    found = calibrate.watched(load(model), Drawn(count), recipe, progress, target)
    start = time.perf_counter()
    ranges = {group: calibrate.ends(quantizer) for group, quantizer in found.items()}
    ranges_s, alone, longer = time.perf_counter() - start, spent["alone"], spent["all"] - spent["alone"]
    by = {name: {"evaluation_s": a / (count - 1), "watching_s": more / (count - 1), "share": more / (a + more)}
          for name, a, more in zip(("clock", "processor"), alone.tolist(), longer.tolist(), strict=True)}
    return {"calibrator": name, "images": count, "groups": len(ranges), **by, "ranges_s": ranges_s, "peak_mib": peaks,
            "load": os.getloadavg()[0]}


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--images", type=int, default=1000)
    asked.add_argument("--calibrators", nargs="+", default=["percentile", "entropy_tensorrt"])
    asked.add_argument("--model", type=Path, help="another network than the one drawn here")
    asked.add_argument("--one", help=argparse.SUPPRESS)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    if given.images < 2:
        sys.exit("--images is the number of images, at least 2")
    if given.one:
        print(json.dumps(measured(given.model, given.one, given.images)))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or deit.export(Path(folder) / "deit.onnx")
        for name in given.calibrators:
            line = subprocess.run([sys.executable, __file__, "--one", name, "--model", str(model), "--images", str(given.images)],
                                  check=True, capture_output=True, text=True).stdout
            if given.json:
                print(line, end="")
                continue
            r = json.loads(line)
            rooms = ", ".join(f"{mib:.0f} MiB after {done}" for done, mib in r["peak_mib"].items())
            print(f"{name}: {r['images']} images, {r['groups']} groups of tensors; an image, " + "; ".join(
                      f"by the {by} {r[by]['evaluation_s']:.3f} s evaluated, {r[by]['watching_s']:.4f} s more where watched "
                      f"({100 * r[by]['share']:.1f} %)" for by in ("clock", "processor")) +
                  f"; ranges {r['ranges_s']:.2f} s; {rooms}; load {r['load']:.1f}", flush=True)


if __name__ == "__main__":
    main()
