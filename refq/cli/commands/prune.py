"""refq prune: masks for a network."""
import click

from refq.cli.frame import Place, json_option, tell


@click.command("prune")
@click.argument("model", required=False, type=Place())
@click.option("--method", default="magnitude", show_default=True, help="A pruner; refq show lists them.")
@click.option("--sparsity", type=float, help="The share that goes, 0 to 1: of weights, or of blocks.")
@click.option("--pattern", help="Of n_m: 2:4, 1:4, 4:8x2 (in pairs) ...; of block: 4x4, 1x4, 8x1 ...")
@click.option("--axis", help="Of n_m: k (the order of a kernel's sums), or an axis of the weight; default: k.")
@click.option("--score", help="Of block: sum (of magnitudes) or squares; default: sum.")
@click.option("--seed", type=int, help="Of random; default: 0.")
@click.option("--layers", multiple=True,
              help="Glob patterns of layers' names; !PATTERN leaves out, the word edges is the first and last; default: all.")
@click.option("--within", type=Place(), help="Masks made before: a weight is kept where both keep it.")
@click.option("--also", type=Place(), help="Masks made before: a weight is kept where either keeps it.")
@click.option("--out", required=True, type=Place(), help="The file of masks, .safetensors.")
@json_option
def command(model, method, layers, out, within, also, as_json, **parameters):
    """Choose which weights of a network stay, and write masks.

    MODEL is a network as refq golden takes it; without it, the embedded one. The network is not
    changed: refq golden MODEL --masks FILE prunes it, and refq show MODEL --masks FILE tells what
    the masks are.
    """
    from refq.cli.pruning import prune
    given = {word: value for word, value in parameters.items() if value is not None}
    tell(*prune(model, method, layers, given, out, within, also), as_json)
