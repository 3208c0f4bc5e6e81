"""refq golden: quantize, run, record."""
import click

from refq.cli.frame import Place, bar, given, json_option, picture, pictures, tell


@click.command("golden")
@click.argument("model", required=False, type=Place())
@click.option("--data", type=Place(),
              help="Images: .npy, .npz, a folder of .npy, or of pictures; codes of a network that comes quantized.")
@click.option("--labels", type=Place(), help="The class of each image (.npy): accuracy is reported.")
@click.option("--calibrate", type=Place(), help="Other images to calibrate on; default: those of --data.")
@click.option("--recipe", default="int8", show_default=True,
              help="Of a float network: int8, w8a16, w4a8, fqvit, or a .toml file of yours.")
@click.option("--dialect", default="tflite", show_default=True,
              help="A name (refq show lists them) or a .toml file of yours; of networks that come quantized too.")
@click.option("--out", type=Place(), help="The pack's folder; default: named after model, recipe and dialect.")
@click.option("--cases", default=16, show_default=True, help="How many images the pack records, every tensor of them.")
@click.option("--seed", default=0, show_default=True, help="Decides which images are recorded.")
@click.option("--integer-only", is_flag=True,
              help="Of a network that comes quantized: nothing runs in float; what the dialect lacks it borrows, or is refused.")
@click.option("--masks", type=Place(), help="A file of refq prune: these weights are 0, in the float network too.")
@click.option("--dense-grids", is_flag=True, help="With --masks: grids are chosen for the dense network, before it is pruned.")
@pictures
@json_option
def command(model, data, labels, calibrate, recipe, dialect, out, cases, seed, integer_only, masks, dense_grids, mean, deviation,
            crop, as_json):
    """Quantize a network, run it in integers, and record a golden pack.

    MODEL is an .onnx, .tflite or .safetensors file; without it, the embedded network of handwritten digits is taken, with its own
    images. A network that comes quantized runs as its file says, without calibration and recipe; an array of its
    input's own integer dtype is taken as codes, any other as reals.
    """
    from refq.cli.golden import golden
    from refq.view import summary
    how = picture(mean, deviation, crop, data, calibrate)
    report = golden(model, data, labels, calibrate, recipe if given("recipe") else None, dialect, out, cases, seed, how, bar,
                    integer_only, masks, dense_grids)
    if given("cases") and cases > report["cases"]:
        report["notes"].append(f"{cases} cases were asked for; there are no more images than the {report['cases']} recorded")
    tell(report, summary.golden(report), as_json)
