"""Casts of float32 to floats of 8 bits: ml_dtypes, PyTorch, and Cast of ONNX Runtime and of the onnx evaluator, which saturates.

They are compared with one another on all levels, the middles between them, the floats beside those, the rails, infinities, NaN.
"""
import numpy as np

from refq.grids.minifloat import Minifloat
from tools.engines import onnx_models
from tools.quantizers.subject import Subject

FORMATS = {"float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20}
"""Name to the number of the type in ONNX."""


def version():
    import ml_dtypes
    import torch
    torch_version = torch.__version__.split("+")[0]
    return f"ml_dtypes {ml_dtypes.__version__}, torch {torch_version}, onnxruntime {onnx_models.version()}"


def bits_of(grid):
    """ml_dtypes' and torch's name of a format."""
    return f"float{grid.width.bits}_{grid.format}"


def cast(x, grid):
    import ml_dtypes
    with np.errstate(all="ignore"):
        return x.astype(getattr(ml_dtypes, bits_of(grid))).view(np.uint8)


def back(codes, grid):
    import ml_dtypes
    return np.asarray(codes, np.uint8).view(getattr(ml_dtypes, bits_of(grid))).astype(np.float32)


def cast_by_torch(x, grid):
    import torch
    return torch.tensor(np.array(x)).to(getattr(torch, bits_of(grid))).view(torch.uint8).numpy()


def subjects():
    """Inside the range; what is beyond is compared below. A cast has no scale."""
    eight = tuple(Minifloat(name.removeprefix("float8_")) for name in FORMATS)
    small = tuple(Minifloat(name) for name in ("e2m3fn", "e3m2fn", "e2m1fn"))
    waived = ("saturates", "scales_by_powers_of_two")
    return (Subject("ml_dtypes astype", cast, back, eight + small, ("takes_the_nearest_level",), "half_even", waived=waived),
            Subject("torch Tensor.to", cast_by_torch, back, eight, ("takes_the_nearest_level",), "half_even", waived=waived))


def levels(name):
    """The finite reals of all codes, ascending."""
    import ml_dtypes
    every = np.arange(256, dtype=np.uint8).view(getattr(ml_dtypes, name)).astype(np.float32)
    return np.unique(every[np.isfinite(every)])


def pool(name):
    """float32 numbers to cast, the ordinary ones first."""
    reals = levels(name)
    middles = (reals[1:] + reals[:-1]) / 2
    step = reals[-1] - reals[-2]
    over = reals[-1] + step * np.array([0.25, 0.5, 0.75, 1, 2], np.float32)
    beside = [np.nextafter(v, np.float32(d)) for v in (middles, over) for d in (-np.inf, np.inf)]
    tiny = np.array([1e-45, 1e-38, 1e-20], np.float32)
    far = np.array([1e9, 3e38, np.inf], np.float32)
    found = np.concatenate([reals, middles, *beside, over, tiny, far])
    return np.concatenate([found, -found, np.array([np.nan], np.float32)])


def by_ml_dtypes(x, name):
    import ml_dtypes
    with np.errstate(all="ignore"):
        return x.astype(getattr(ml_dtypes, name)).astype(np.float32)


def by_torch(x, name):
    import torch
    return torch.from_numpy(x).to(getattr(torch, name)).float().numpy()


def by_onnx(engine):
    def cast(x, name):
        nodes = [("Cast", "x", "q", {"to": FORMATS[name]}), ("Cast", "q", "y", {"to": 1})]
        model = onnx_models.model({"x": x}, nodes)
        with np.errstate(all="ignore"):
            return np.asarray(engine(model).run(None, {"x": x})[0])
    return cast


def runtime(model):
    return onnx_models.session(model, False, {})


def evaluator(model):
    from onnx import load_model_from_string
    from onnx.reference import ReferenceEvaluator
    return ReferenceEvaluator(load_model_from_string(model))


CASTS = {"ml_dtypes astype": by_ml_dtypes, "torch Tensor.to": by_torch, "onnxruntime Cast": by_onnx(runtime),
         "onnx evaluator Cast": by_onnx(evaluator)}


def differences():
    """For each format and kind of number (within the levels, beyond, infinite, NaN): the first one that is not cast alike."""
    found = []
    for name in FORMATS:
        x, most = pool(name), levels(name)[-1]
        made = {who: cast(x, name) for who, cast in CASTS.items()}
        kinds = {"within": np.abs(x) <= most, "beyond": (np.abs(x) > most) & np.isfinite(x), "infinite": np.isinf(x),
                 "NaN": np.isnan(x)}
        for kind, here in kinds.items():
            first, *others = made.values()
            apart = np.logical_or.reduce([unlike(first, y) for y in others]) & here
            if apart.any():
                places = np.flatnonzero(apart)
                place = int(places[np.argmin(np.abs(x[places]))])
                gives = {}
                for who, y in made.items():
                    gives.setdefault(repr(y[place].item()), []).append(who)
                if any(d["where"].startswith(f"cast to {name},") and d["gives"] == gives for d in found):
                    continue
                found.append({"where": f"cast to {name}, {kind}", "x": repr(x[place].item()), "gives": gives,
                              "differing": int(apart.sum()), "of": int(here.sum())})
    return found


def unlike(a, b):
    """Where two results differ: NaN is NaN, and 0 is not -0."""
    return ~((a == b) & (np.signbit(a) == np.signbit(b)) | np.isnan(a) & np.isnan(b))
