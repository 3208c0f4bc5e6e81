"""Calls onnxruntime in the worker, on one model."""
from pathlib import Path

from refq.vectors.kernels.worker import Refused

TYPES = {f"tensor({kind})": kind for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")}


def opened(job):
    """call(given, fill) of the model that the job names."""
    try:
        import onnxruntime
    except ImportError:
        raise Refused("onnxruntime is not installed; pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4          # what it refuses becomes a sentence
    try:
        session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    except Exception as e:
        raise Refused(f"the model cannot be loaded: {said(e)}") from None
    inputs, outputs = session.get_inputs(), [o.name for o in session.get_outputs()]
    sources = matched([i.name for i in inputs], set(job["shapes"]), job["live"], "input")
    results = {name for names in job["results"] for name in names}
    names = outputs if set(outputs) <= results else by_order(outputs, job)
    notes = [f"input {i.name!r} of the model was given {s!r}, by order" for i, s in zip(inputs, sources) if i.name != s]
    notes += [f"output {o!r} of the model was taken for {job['order'][int(n)]!r}, by order"
              for o, n in zip(outputs, names) if o != n]
    (Path(job["folder"]) / "note").write_text("\n".join(notes))

    def call(given, fill):
        feeds = {}
        for meta, source in zip(inputs, sources):
            array, wrong = fed(meta, source, given)
            if wrong:
                return {}, wrong
            feeds[meta.name] = array
        try:
            return dict(zip(names, session.run(None, feeds))), ""
        except Exception as e:
            return {}, f"refuses to run: {said(e)}"
    return call


def matched(names, known, live, what):
    """For each name of the model the name of ours: itself, or where there are as many, the one in that place."""
    if set(names) <= known:
        return names
    if len(names) == len(live):
        return list(live)
    strange = [n for n in names if n not in known]
    raise Refused(f"the model's {what} {strange[0]!r} is none of {', '.join(live)}; name its {what}s so, or give it as many")


def by_order(outputs, job):
    """Places, where the model gives as many outputs as are needed."""
    if len(outputs) == len(job["order"]):
        return [str(i) for i in range(len(outputs))]
    raise Refused(f"the model gives {', '.join(outputs)}; name its outputs {', '.join(job['order'])} (or after other "
                  "tensors of the pack), or give as many")


def fed(meta, source, given):
    """(what one input takes, or what is wrong with it)."""
    array = given[source]
    if meta.type == "tensor(float)" and array.dtype.kind != "f":
        if f"real:{source}" not in given:
            return None, f"input {meta.name!r} of the model is float, and {source} has no grid; give it the codes"
        array = given[f"real:{source}"]
    elif TYPES.get(meta.type, "float32") != array.dtype.name:
        return None, f"input {meta.name!r} of the model is {meta.type}, and {source} is {array.dtype}"
    return array[None] if len(meta.shape) == array.ndim + 1 else array, ""


def said(error):
    return " ".join(str(error).split())[:300]
