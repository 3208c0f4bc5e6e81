"""refq export: a pack as the files that kernels, simulators and other tools take; a network that comes quantized as QDQ ONNX."""
import click

from refq.cli.frame import Place, json_option, tell


@click.command("export")
@click.argument("pack", type=Place())
@click.option("--to", required=True, help="bin, c, checksums, cocotb, csv, hex, lines, memb, npy, npz, onnx or verilog; "
              "qdq of a network.")
@click.option("--out", required=True, type=Place(), help="The folder to write; it must not exist, or be empty. "
              "For qdq: the .onnx file.")
@click.option("--unit", help="Only what these steps take and give, as one unit: 'fc1,fc1.rescale'; * and ? match.")
@click.option("--cases", type=int, help="Only the first so many cases.")
@click.option("--word", type=int, help="hex, memb, bin, verilog, cocotb: bits of a bus word.")
@click.option("--first", help="low or high: where the first code lies in its word.")
@click.option("--endian", help="hex, memb, bin: little or big: the order of bytes.")
@click.option("--align", type=int, help="bin: files are filled up to a multiple of so many bytes.")
@click.option("--tile", type=int, help="checksums, c: codes in a tile, row-major.")
@click.option("--seed", type=int, help="verilog, cocotb: decides the stalls.")
@click.option("--top", help="verilog, cocotb: the name of the module under test.")
@json_option
def command(pack, to, out, unit, cases, as_json, **options):
    """Write a pack in another format, with an index.json that says what lies where.

    --to qdq takes a network that comes quantized (an .onnx or .tflite file, in whatever form) instead of a pack, and writes
    it in ONNX's QDQ form, which onnxruntime runs.

    Without --unit: inputs, constants and every recorded tensor. `refq import` is the way back for what a device wrote in
    the same shape.
    """
    if to == "qdq":
        from refq.cli.converting import to_qdq
        report = to_qdq(pack, out, unit, cases, options)
        tell(report, f"{report['nodes']} nodes, {report['grids']} tensors on grids, in QDQ form: {out}", as_json)
        return
    from refq.vectors.exchange.exported import export
    index = export(pack, to, out, unit, cases, **{k: v for k, v in options.items() if v is not None})
    files = sorted({e["file"] for e in index["entries"]})
    tell({"out": str(out), **index}, f"{len(index['entries'])} arrays of {index['cases']} cases in {len(files)} files of "
         f"{to}: {out}\nindex     {out}/index.json", as_json)
