"""verilog: a plain bench (bench.sv, Makefile) for a module with ready/valid streams, and the words it streams.

refq/vectors/exchange/streams.py says what the streams are; the head of bench.sv shows the module's ports. Four passes over all
cases, back to back without a reset between: no stalls; the inputs stall; the outputs stall; both do (seeded). Outputs are
compared with `!==` under a mask of the bits that hold codes, so x and z in them are mismatches; while valid is 0 the
bench drives x. `make` runs Icarus Verilog, and Verilator with two random initialisations; exit status 0: pass. The words of
the first pass are written to got_NAME.hex, which `refq import` reads.
"""
from refq.errors import IllFormed
from refq.vectors.exchange import streams
from refq.vectors.exchange.streams import read
from refq.vectors.exchange.template import filled

__all__ = ["export", "read"]


def export(chosen, folder, *, word=None, first="low", seed=1, top="dut"):
    found = streams.streams(chosen, word, first)
    (folder / "bench.sv").write_text(bench(chosen, found, admitted(seed), module(top)))
    (folder / "Makefile").write_text(filled("Makefile", top=top))
    return streams.written(chosen, folder, found)


def admitted(seed):
    if not 0 <= seed < 1 << 31:
        raise IllFormed(f"--seed {seed}: from 0 to {(1 << 31) - 1}")
    return seed


def module(top):
    if not (top.isascii() and top.isidentifier()) or top == "bench":
        raise IllFormed(f"--top {top!r}: is no name of a module")
    return top


def bench(chosen, found, seed, top):
    """The text of bench.sv."""
    ins, outs = ([s for s in found if s.way == way] for way in ("in", "out"))
    parts = [filled(f"stream_{s.way}.sv", name=s.name, width=s.bits, top=s.bits - 1, total=s.count * chosen.cases,
                    last=s.count * chosen.cases - 1, per_case=s.count, full=f"{s.bits}'h{s.full:x}",
                    end=f"{s.bits}'h{s.last:x}", number=i + 1) for i, s in enumerate(found)]
    return filled(
        "bench.sv", module=top, seed=seed, streams="\n".join(parts), unit=chosen.units[0].name if chosen.units else "program",
        pack=chosen.pack.hash, header=",\n".join(f"//     {line}" for s in found for line in header(s)),
        ports=",\n".join(f"        .{s.name}_{end}({s.name}_{end})" for s in found for end in ("valid", "ready", "data")),
        progress=" || ".join(f"({s.name}_valid === 1'b1 && {s.name}_ready === 1'b1"
                             f"{f' && {s.name}_pass < PASSES' if s.way == 'out' else ''})" for s in found),
        done=" && ".join(f"{s.name}_pass == PASSES" for s in ins + outs),
        close="\n".join(f"            $fclose({s.name}_file);" for s in outs),
        errors=" + ".join(f"{s.name}_errors" for s in outs))


def header(s):
    give, take = ("input ", "output") if s.way == "in" else ("output", "input ")
    return (f"{give} wire {s.name}_valid", f"{take} wire {s.name}_ready", f"{give} wire [{s.bits - 1}:0] {s.name}_data")
