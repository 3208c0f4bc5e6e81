"""onnx: model.onnx and test_data_set_0/input_0.pb, output_0.pb ... as ONNX's own backend tests are laid out; data.json tells
its runner to allow no difference.

The model says in standard ONNX what the chosen steps mean (exchange/standard.py); what the standard cannot say, to the
bit, is refused by the step's name. Arrays have a leading axis of one image; constants are initializers. Inputs are
what the steps take and do not make, outputs those in which they end.
"""
import numpy as np

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.vectors.exchange import standard


def export(chosen, folder):
    from onnx import numpy_helper, save_model
    if chosen.units is not None and len(chosen.units) > 1:
        raise IllFormed(f"--unit matches {len(chosen.units)} units, and a model is of one; name one of "
                        f"{', '.join(u.name.replace(' + ', ',') for u in chosen.units[:4])}")
    inputs = [name for name, what in chosen.tensors.items() if what == "operand"]
    outputs, program = chosen.results, chosen.program
    save_model(standard.model(program, chosen.steps, inputs, outputs), folder / "model.onnx")
    (folder / "data.json").write_text('{"rtol": 0, "atol": 0}\n')
    entries = []
    for i in range(chosen.cases):
        codes, place = chosen.case(i), folder / f"test_data_set_{i}"
        place.mkdir()
        for kind, names in (("input", inputs), ("output", outputs)):
            for number, name in enumerate(names):
                file = place / f"{kind}_{number}.pb"
                file.write_bytes(numpy_helper.from_array(codes[name][None], name).SerializeToString())
                entries.append(chosen.entry(name, i, file=f"{place.name}/{file.name}", leading_axis=1,
                                            container=program.tensors[name].width.dtype.name))
    return entries


def read(path, entry):
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, numpy_helper
    try:
        array = numpy_helper.to_array(TensorProto.FromString(path.read_bytes()))
    except (DecodeError, ValueError, TypeError, KeyError) as e:
        raise Corrupt(f"{path}: is no TensorProto: {e}") from None
    if array.dtype.kind not in "iu":
        raise Unsupported(f"{path}: holds {array.dtype}; {entry['tensor']} is integer codes")
    if array.shape not in ((1, *entry["shape"]), tuple(entry["shape"])):
        raise IllFormed(f"{path}: has shape {array.shape}; {entry['tensor']} is {(1, *entry['shape'])}")
    return np.ascontiguousarray(array).reshape(entry["shape"]), None
