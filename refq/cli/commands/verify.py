"""refq verify: a device against a pack."""
import sys

import click

from refq.cli.frame import Place, given, json_option, tell
from refq.errors import IllFormed


@click.command("verify")
@click.argument("pack", type=Place())
@click.option("--against", type=Place(), help="What the device dumped: a folder of .npy, an .npz or a .safetensors.")
@click.option("--kernel", type=Place(), help="A kernel.toml: run the device's own code on the pack's inputs.")
@click.option("--python", metavar="MODULE:FUNCTION", help="A Python function: call it on the pack's inputs.")
@click.option("--onnxruntime", type=Place(), help="An ONNX model: let onnxruntime run it on the pack's inputs.")
@click.option("--unit", help="For --python and --onnxruntime: the steps that it does as one, 'fc1,fc1.rescale'; without it, all.")
@click.option("--require", default="any", show_default=True, type=click.Choice(["any", "all"]),
              help="all: refuse a dump that lacks a tensor.")
@click.option("--tolerance", default=0, show_default=True, help="Count differences of up to so many codes as right.")
@json_option
def command(pack, require, tolerance, unit, as_json, **devices):
    """Compare a device's tensors or its kernel with a pack, exactly.

    Exit status 0: pass; 1: something differs; 2: some case could not be judged. With no device, the pack itself is
    checked: its manifest, every hash, and every case run anew.
    """
    asked = [name for name, what in devices.items() if what is not None]
    check_options(asked)
    report = of_device(pack, *(asked or [None]), devices, require, tolerance, unit)
    tell(report.json(), str(report), as_json)
    sys.exit(2 if report.faults else 0 if report.passed else 1)


def check_options(asked):
    """IllFormed for options that ask two questions, or have no use."""
    if len(asked) > 1:
        raise IllFormed(f"--{asked[0]} and --{asked[1]} ask two questions; ask one at a time")
    if not asked and (more := given("require", "tolerance", "unit")):
        raise IllFormed(f"{' and '.join(more)}: without --against or --kernel a pack is checked exactly; leave it out")
    if asked not in ([], ["against"]) and given("require"):
        raise IllFormed("--require: for a dump (--against); a kernel is asked for every tensor of its step; leave it out")
    if asked not in (["python"], ["onnxruntime"]) and given("unit"):
        other = "a kernel.toml names its own" if asked == ["kernel"] else "a dump is judged as a whole"
        raise IllFormed(f"--unit: for --python and --onnxruntime; {other}; leave it out")


def of_device(pack, kind, devices, require, tolerance, unit):
    """The Report of the one device that is asked, or of the pack itself."""
    patterns = [word.strip() for word in unit.split(",")] if unit else None
    match kind:
        case "against":
            from refq.vectors.verify import verify
            return verify(pack, devices[kind], require, tolerance)
        case "kernel":
            from refq.vectors.kernels.kernel import verify_kernel
            return verify_kernel(pack, devices[kind], tolerance)
        case "python":
            from refq.vectors.kernels.kernel_python import verify_python
            return verify_python(pack, devices[kind], patterns, tolerance)
        case "onnxruntime":
            from refq.vectors.kernels.kernel_onnx import verify_onnxruntime
            return verify_onnxruntime(pack, devices[kind], patterns, tolerance)
    from refq.vectors.verify import verify_itself
    return verify_itself(pack)
