"""cocotb: a bench (bench.py, run.py) for a module with ready/valid streams, and the words it streams.

refq/vectors/exchange/streams.py says what the streams are. Four tests over all cases, twice, back to back: no stalls; the inputs
stall; the outputs stall; both do (seeded). Every bit that holds a code is compared as a character, so X, Z, U are
mismatches; while valid is 0 the bench drives X. `python run.py dut.v` builds and runs it with the simulator named by $SIM
(default icarus; verilator starts twice, with two random initialisations); exit status 0: pass. The words of the first
test are written to got_NAME.hex, which `refq import` reads.
"""
from pprint import pformat

from refq.vectors.exchange import streams
from refq.vectors.exchange.formats.verilog import admitted, header, module
from refq.vectors.exchange.streams import read
from refq.vectors.exchange.template import filled

__all__ = ["export", "read"]


def export(chosen, folder, *, word=None, first="low", seed=1, top="dut"):
    found = streams.streams(chosen, word, first)
    said = {s.name: {"way": s.way, "bits": s.bits, "words_of_a_case": s.count,
                     "mask": f"{s.full:0{s.bits}b}", "mask_of_the_last": f"{s.last:0{s.bits}b}"} for s in found}
    (folder / "bench.py").write_text(filled(
        "bench.py", unit=chosen.units[0].name if chosen.units else "program", pack=chosen.pack.hash, seed=admitted(seed),
        streams=pformat(said, width=120, sort_dicts=False), header="\n".join(f"    {line}" for s in found for line in header(s))))
    (folder / "run.py").write_text(filled("run.py", top=module(top)))
    return streams.written(chosen, folder, found)
