"""c: headers with the vectors, and a main.c that compares a kernel with them.

    vectors.h    every operand, constant and expected result as `static const int8_t NAME[N]`, with #define sizes; at its
                 head what each step computes: formula, row (multiplier form, roundings), in words
    recorded.h   without a unit: the tensors between inputs and outputs; main.c does not take it in
    kernel.h     the prototype of the function to write: `void refq_kernel(...)`
    main.c       calls it on every case, results filled with 0xAA and again with 0x55; prints the first mismatch of each
                 result and two checksums of what it gave (a line of checksums.txt); exits with 1 where anything differs

    cc -std=c99 main.c your_kernel.c && ./a.out

C99 without extensions; -Wall -Wextra -Werror -pedantic is clean. Codes lie in the containers of their widths, row-major.
"""
from urllib.parse import quote

from refq import ops
from refq.ints.row import plain
from refq.vectors.exchange import checksum, cnames
from refq.vectors.exchange.exported import distinct
from refq.vectors.exchange.template import filled


def export(chosen, folder):
    names = distinct(chosen.tensors, lambda name: "refq_" + cnames.identifier(name))
    units, signatures = signed(chosen)
    shared, apart = {}, {}
    shown = {stands for found in signatures for a, stands in found if a.way != "size"}
    entries = []
    for name, case, codes in chosen.arrays():
        tensor = chosen.program.tensors[name]
        label = names[name] if case is None else f"{names[name]}_{case:04d}"
        into = shared if name in shown or case is None else apart
        text = cnames.array(label, codes, tensor.width.dtype, commented(chosen, name, case))
        into.setdefault("text", []).append(text)
        entries.append(chosen.entry(name, case, file="vectors.h" if into is shared else "recorded.h", key=label,
                                    container=tensor.width.dtype.name))
    head = preface(chosen)
    for file, into in (("vectors", shared), ("recorded", apart)):
        if into:
            (folder / f"{file}.h").write_text(f"{head}#ifndef REFQ_{file.upper()}_H\n#define REFQ_{file.upper()}_H\n"
                                              f"#include <stdint.h>\n\n{''.join(into['text'])}#endif\n")
    arguments = [a for a, _ in signatures[0]]
    (folder / "kernel.h").write_text(filled("kernel.h", arguments=",\n    ".join(a.declared() for a in arguments)))
    (folder / "main.c").write_text(main(chosen, units, signatures, names))
    return entries


def signed(chosen):
    """Units and the signature of each; the whole program is called with its inputs and gives its outputs."""
    if chosen.units is None:
        dtype = {name: tensor.width.dtype for name, tensor in chosen.program.tensors.items()}
        names = distinct([*chosen.program.inputs, *chosen.program.outputs], lambda n: "t_" + cnames.identifier(n))
        whole = [(cnames.Argument(names[n], dtype[n], way), n) for ns, way in
                 ((chosen.program.inputs, "in"), (chosen.program.outputs, "out")) for n in ns]
        return [None], [whole]
    signatures = [cnames.signature(unit, chosen.program) for unit in chosen.units]
    cnames.same_signature(signatures, chosen.units)
    return chosen.units, signatures


def preface(chosen):
    """What the vectors are of: pack, dialect, and each step's formula and row."""
    lines = [f"golden vectors of refq; pack {chosen.pack.hash}", f"dialect {chosen.program.dialect}; row-major; codes in the "
             "containers of their widths, two's complement", ""]
    for step in chosen.steps:
        row = ", ".join(f"{k} {v}" for k, v in plain(step.row).items())
        lines.append(f"{step.name}: {step.op}{f' ({row})' if row else ''}")
    for op in dict.fromkeys(s.op for s in chosen.steps):
        lines += ["", *ops.load(op).__doc__.strip().splitlines()]
    return "/* " + "\n   ".join(line.replace("*/", "* /").rstrip() for line in lines) + " */\n"


def commented(chosen, name, case):
    tensor = chosen.program.tensors[name]
    of = "" if case is None else f", case {case:04d}"
    return f"{name}{of}: {tensor.role}, {tensor.width}, axes ({chosen.axes.get(name, '')})".replace("*/", "* /")


def main(chosen, units, signatures, names):
    """The text of main.c."""
    arguments, rows = [a for a, _ in signatures[0]], []
    for unit, found in zip(units, signatures):
        for case in range(chosen.cases):
            row = [cnames.string("the program" if unit is None else unit.name), str(case)]
            for argument, stands in found:
                if argument.way == "size":
                    row.append(str(stands))
                elif argument.way == "out":
                    row += [cnames.string(quote(stands, safe="/.:_-")), f"{names[stands]}_{case:04d}",
                            f"{names[stands].upper()}_{case:04d}_SIZE"]
                elif argument.way == "in":
                    row.append(names[stands] + ("" if chosen.tensors[stands] == "constant" else f"_{case:04d}"))
                else:
                    constant = chosen.tensors[stands] == "constant"
                    codes = chosen.program.constants[stands] if constant else chosen.case(case)[stands]
                    row.append(cnames.literal(codes, argument.dtype))
            rows.append("    { " + ", ".join(row) + " }")
    outs = [a for a in arguments if a.way == "out"]
    largest = {a.name: max(1, *(chosen.program.tensors[stands].bytes // a.dtype.itemsize
                                for found in signatures for b, stands in found if b == a), 1) for a in outs}
    fields = []
    for a in arguments:
        if a.way == "out":
            fields += [f"const char *{a.name}_name", f"const {cnames.ctype(a.dtype)} *{a.name}", f"size_t {a.name}_size"]
        else:
            fields.append(a.declared())
    return filled(
        "main.c", checksum=checksum.C, fields=";\n    ".join(fields), rows=",\n".join(rows), count=len(rows),
        buffers="\n".join(f"static {cnames.ctype(a.dtype)} once_{a.name}[{largest[a.name]}], "
                          f"again_{a.name}[{largest[a.name]}];" for a in outs),
        first=called(arguments, "once"), second=called(arguments, "again"),
        fill_first=fill(outs, "once", "0xAA"), fill_second=fill(outs, "again", "0x55"),
        compare="\n        ".join(
            f"wrong += refq_compare(c->unit, c->number, c->{a.name}_name, once_{a.name}, again_{a.name}, c->{a.name}, "
            f"c->{a.name}_size, sizeof once_{a.name}[0], {int(a.dtype.kind == 'i')});" for a in outs))


def called(arguments, turn):
    return ", ".join(f"{turn}_{a.name}" if a.way == "out" else f"c->{a.name}" for a in arguments)


def fill(outs, turn, value):
    return "\n        ".join(f"memset({turn}_{a.name}, {value}, sizeof {turn}_{a.name});" for a in outs)
