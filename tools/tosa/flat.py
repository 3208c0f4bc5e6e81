"""A serialized TOSA graph as plain data. Runs beside Arm's tools: the classes that flatc made of tosa.fbs are theirs."""
import base64
import re
from functools import cache
from importlib import import_module
from pathlib import Path

from tosa import Attribute, DType, Op
from tosa.TosaGraph import TosaGraph


@cache
def words(enumeration):
    """Number to name of an enumeration of the schema."""
    return {v: k for k, v in vars(enumeration).items() if type(v) is int}


@cache
def fields(kind):
    """The fields of a class that flatc made: its methods that take nothing and are no bookkeeping."""
    skipped = re.compile("^(Init$|GetRootAs|.*(Length|IsNone|BufferHasIdentifier)$)")
    names = [n for n, f in vars(kind).items() if n[0].isupper() and callable(f) and not skipped.match(n)]
    arrays = {n.removesuffix("AsNumpy") for n in names if n.endswith("AsNumpy")}
    return {n: f"{n}AsNumpy" if n in arrays else n for n in names if not n.endswith("AsNumpy")}


def listed(array):
    return array.tolist() if hasattr(array, "tolist") else []


def attribute(operator):
    """The attributes of an operator, names as in the schema in lower case (acc_type is AccType there: acctype here)."""
    name = words(Attribute.Attribute).get(operator.AttributeType(), "NONE")
    if name == "NONE":
        return {}
    held = getattr(import_module(f"tosa.{name}"), name)()
    table = operator.Attribute()
    held.Init(table.Bytes, table.Pos)
    values = {field.lower(): getattr(held, getter)() for field, getter in fields(type(held)).items()}
    return {k: v if isinstance(v, (bool, int)) else listed(v) for k, v in values.items()}


def raw(holder):
    """The bytes that a tensor or shape holds, as text; None where it holds none."""
    data = holder.DataAsNumpy()
    return base64.b64encode(data.tobytes()).decode() if hasattr(data, "tobytes") else None


def read(path):
    """`tensors`: name to type, shape and raw bytes in base64; `operators`: op, attributes, input and output names."""
    graph = TosaGraph.GetRootAs(Path(path).read_bytes(), 0)
    region = graph.Regions(0)
    if graph.RegionsLength() != 1 or region.BlocksLength() != 1:
        raise ValueError(f"{path} holds more than one block")
    block, tensors, operators = region.Blocks(0), {}, []
    for i in range(block.TensorsLength()):
        tensor = block.Tensors(i)
        tensors[tensor.Name().decode()] = {"type": words(DType.DType)[tensor.Type()], "shape": listed(tensor.ShapeAsNumpy()),
                                           "data": raw(tensor)}
    for i in range(block.ShapesLength()):
        shape = block.Shapes(i)
        tensors[shape.Name().decode()] = {"type": "SHAPE", "shape": [shape.Rank()], "data": raw(shape)}
    for i in range(block.OperatorsLength()):
        operator = block.Operators(i)
        operators.append({"op": words(Op.Op)[operator.Op()], "attributes": attribute(operator),
                          "inputs": [operator.Inputs(j).decode() for j in range(operator.InputsLength())],
                          "outputs": [operator.Outputs(j).decode() for j in range(operator.OutputsLength())]})
    return {"tensors": tensors, "operators": operators}
