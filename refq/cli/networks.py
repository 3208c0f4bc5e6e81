"""Networks that a command names: which options they have no use for, their programs, and what the images given are read as."""
from dataclasses import replace
from pathlib import Path

from refq import dialects, recipes
from refq.errors import IllFormed, Unsupported
from refq.graph.quantize import quantize
from refq.load import images
from refq.load.network import load

OTHERWISE = "take another --dialect (refq show lists them), or quantize the network otherwise"


def read(model, data):
    """The network in the file `model`; a language model over as many tokens as each of the sequences in the file `data` (.npy,
    .npz) holds."""
    network = load(model)
    if network.family is None or Path(data).is_dir() or not Path(data).exists():
        return network
    count = images.array(Path(data)).shape[-1:] or (1,)
    return replace(network.family.whole(*count), name=network.name)


def admit(model, network, recipe=None, calibrate=None, integer_only=False):
    """Refuse what the command line says (None: it does not) and the network in `model` has no use for."""
    said = [f"--{word}" for word, value in (("recipe", recipe), ("calibrate", calibrate)) if value]
    if network.grids and said:
        raise IllFormed(f"{model}: comes quantized, so it takes no {' and no '.join(said)}; leave it out")
    if integer_only and not network.grids:
        raise IllFormed(f"{model or 'the embedded network'}: --integer-only is for networks that come quantized; another is "
                        "always run in integers alone, so leave it out")


def quantized(model, network, images, recipe, dialect, grids=None, progress=None, integer_only=False, masks=None):
    """The program of the network in the file `model`; what is refused of it names that file and says what to do. `recipe`:
    None for int8, or what the file says; `masks`: of weights that are pruned behind the choice of grids."""
    recipe = recipes.load(recipe or "int8") if recipe is None or isinstance(recipe, str) else recipe
    dialect = dialects.load(dialect) if isinstance(dialect, str) else dialect
    if not network.grids:
        recipe.admit(dialect)
    try:
        return quantize(network, images, recipe, dialect, grids, progress, integer_only, masks)
    except (IllFormed, Unsupported) as e:
        kind = IllFormed if isinstance(e, IllFormed) else Unsupported
        raise kind(sentence(model, network.name, str(e))) from None


def sentence(model, name, said):
    """A refusal with the file in front, and with advice where it has none (what a ; and a blank lead in; TFLite's names of
    tensors hold ; alone)."""
    if model is not None and str(model) not in said:
        said = f"{model}: {said.removeprefix(f'{name}: ')}"
    return said if "; " in said else f"{said}; {OTHERWISE}"


def codes(program, images, own):
    """(codes, what `images` were read as: codes, reals, tokens). An array of the input tensor's own integer dtype is codes where
    the program has grids of its `own`; on a network that is calibrated on the images they are reals, whatever their dtype."""
    if program.tensors[program.inputs[0]].grid is None:
        return program.encode(images), "tokens"
    dtype = program.tensors[program.inputs[0]].width.dtype
    if own and images.dtype == dtype and images.dtype.kind in "iu":
        return images, "codes"
    return program.encode(images), "reals"
