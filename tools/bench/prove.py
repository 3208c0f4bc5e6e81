"""How fast a domain is proved: inputs a second on the clock, and a second of a processor.

    python -m tools.bench.prove                     all 2**32 accumulators of a rescale, under each dialect's own row
    python -m tools.bench.prove --workers 1 --dialects tosa

The clock includes starting the processes, and runs on while others use the machine; a processor's second does not. The
requirement: 10**9 accumulators a second on two workers that have it to themselves. A rescale that rounds in float32 has no
thresholds: the spec meets it, so that only 2**24 accumulators are asked here.
"""
import argparse

from refq import dialects
from refq.vectors.prove.prove import prove

CONSTANTS = {"rescale": "mult=1518500250 shift=38 zp=-3", "rescale_float32": "scale=0.0007312 zp=-3"}
REQUIRED = 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialects", nargs="+", default=dialects.names())
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    print(f"{'dialect':10s}{'operation':18s}{'inputs':>15s}{'seconds':>9s}{'a second':>11s}{'a cpu second':>14s}  required")
    for name in asked.dialects:
        op = dialects.load(name).roles["rescale"].op
        widths = {} if op == "rescale" else {"acc": "i24"}
        proof = prove("rescale", name, widths=widths, constants=[CONSTANTS[op]] * (4 if op == "rescale" else 1),
                      workers=asked.workers)
        rate = proof.met / proof.seconds
        required = "-" if op != "rescale" else "met" if rate >= REQUIRED else "MISSED"
        print(f"{name:10s}{op:18s}{proof.met:15,}{proof.seconds:9.1f}{rate:11.2e}{proof.met / proof.busy:14.2e}  {required}"
              + ("" if proof.passed else "  WRONG"), flush=True)


if __name__ == "__main__":
    main()
