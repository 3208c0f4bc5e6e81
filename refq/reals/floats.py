"""floats: what each operation of a float graph computes, in float64, one function an operation.

A function gets the array functions (NumPy's names, and `erf`), the node's attributes and its inputs, None where an
optional one is left out, and returns the output, or a tuple of them. Attributes and inputs are those of ONNX, opsets 13
to the newest; canonical graphs hold in attributes what ONNX passes as constant inputs. Source: the ONNX operator
reference, and for `Linear` x @ weight.T + bias.
"""
import math

import numpy as np

from refq.ints.jit import jit
from refq.reals import norms
from refq.reals.windows import average_pool, col2im, conv, conv_transpose, max_pool


@jit(nogil=True)
def erf_into(x, y):
    for i in range(x.size):
        y[i] = math.erf(x[i])


def erf(x):
    """The error function, element by element, through the C library's."""
    flat = np.ascontiguousarray(x, np.float64).reshape(-1)
    result = np.empty_like(flat)
    erf_into(flat, result)
    return result.reshape(np.shape(x))


class NumpyFunctions:
    """NumPy's namespace with `erf`: the default `functions`; another array library takes its place under the same
    names."""

    erf = staticmethod(erf)

    def __getattr__(self, name):
        return getattr(np, name)


numpy_functions = NumpyFunctions()


def ints(value):
    """A shape, axis list or index list as a tuple of Python integers."""
    return tuple(int(v) for v in np.asarray(value).reshape(-1))


def swap_last(xp, x):
    return xp.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def matmul(xp, a, x, y):
    product = xp.matmul(x, swap_last(xp, y) if a.get("transpose_b") else y)
    return product * a["alpha"] if a.get("alpha", 1.0) != 1.0 else product


def linear(xp, a, x, weight, bias):
    return xp.matmul(x, swap_last(xp, weight)) + bias


def gemm(xp, a, x, y, c=None):
    x, y = (swap_last(xp, x) if a.get("transA") else x), (swap_last(xp, y) if a.get("transB") else y)
    product = a.get("alpha", 1.0) * xp.matmul(x, y)
    return product if c is None else product + a.get("beta", 1.0) * c


def softmax(xp, a, x, mask=None):
    """`mask` in the attributes, of canonical graphs: each query sees some keys only, and one that sees none has no shares."""
    if a.get("mask"):
        seen = seen_by(xp, a["mask"], x.shape, mask)
        e = xp.where(seen, xp.exp(x - xp.max(xp.where(seen, x, xp.min(x)), axis=-1, keepdims=True)), 0.0)
        total = xp.sum(e, axis=-1, keepdims=True)
        return e / xp.where(total > 0, total, 1.0)
    axis = a.get("axis", -1)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def seen_by(xp, form, shape, mask):
    """Which keys (.. r k) each query sees: `causal` those up to its own place, counted from the last; `positions` (n r) those
    up to a place; `given` those whose mask is not 0."""
    if form == "given":
        return mask != 0
    r, k = shape[-2:]
    keys = xp.arange(k)
    if form == "causal":
        return keys <= xp.reshape(xp.arange(r), (r, 1)) + (k - r)
    last = xp.reshape(mask, (mask.shape[0], *(1,) * (len(shape) - 3), r, 1))
    return keys <= last


def gelu(xp, a, x):
    if a.get("approximate", "none") == "tanh":
        return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + xp.erf(x / math.sqrt(2)))


def sigmoid(xp, a, x):
    return 0.5 * (1 + xp.tanh(0.5 * x))


def attention(xp, a, q, k, v, mask=None):
    heads = a.get("q_num_heads")
    if q.ndim == 3:
        q, k, v = (xp.permute_dims(xp.reshape(t, (*t.shape[:2], heads, -1)), (0, 2, 1, 3)) for t in (q, k, v))
        heads = 0
    scale = a.get("scale") or 1 / math.sqrt(q.shape[-1])
    logits = xp.matmul(q, swap_last(xp, k)) * scale
    y = xp.matmul(softmax(xp, {}, logits if mask is None else logits + mask), v)
    return xp.reshape(xp.permute_dims(y, (0, 2, 1, 3)), (y.shape[0], y.shape[2], -1)) if heads == 0 else y


def reshape(xp, a, x, shape=None):
    shape = a["shape"] if shape is None else ints(shape)
    if not a.get("allowzero"):
        shape = tuple(x.shape[i] if n == 0 else n for i, n in enumerate(shape))
    return xp.reshape(x, tuple(shape))


def flatten(xp, a, x):
    axis = a.get("axis", 1) % (x.ndim + 1) if a.get("axis", 1) < 0 else a.get("axis", 1)
    return xp.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def squeeze(xp, a, x, axes=None):
    drop = {i for i, n in enumerate(x.shape) if n == 1} if axes is None else {i % x.ndim for i in ints(axes)}
    return xp.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


def unsqueeze(xp, a, x, axes):
    rank = x.ndim + len(ints(axes))
    new, old = {i % rank for i in ints(axes)}, iter(x.shape)
    return xp.reshape(x, tuple(1 if i in new else next(old) for i in range(rank)))


def transpose(xp, a, x):
    return xp.permute_dims(x, a.get("perm") or tuple(reversed(range(x.ndim))))


def slices(xp, a, x, starts=None, ends=None, axes=None, steps=None):
    if starts is None:
        starts, ends, axes, steps = (a["start"],), (a["stop"],), (a["axis"],), (a.get("step", 1),)
    index = [slice(None)] * x.ndim
    axes = range(len(ints(starts))) if axes is None else ints(axes)
    steps = (1,) * len(ints(starts)) if steps is None else ints(steps)
    for start, end, axis, step in zip(ints(starts), ints(ends), axes, steps):
        below = step < 0 and end < -x.shape[axis]       # ONNX: past the first element; Python would count from the end
        index[axis] = slice(start, None if below else end, step)
    return x[tuple(index)]


def pieces(a, x, sizes=None):
    """The lengths of a Split's results along its axis; raises ValueError where they do not fill it."""
    n, count = x.shape[a.get("axis", 0)], a["num_outputs"] if sizes is None else len(sizes)
    size = -(-n // count)
    parts = (size,) * (count - 1) + (n - size * (count - 1),) if sizes is None else ints(sizes)
    if min(parts) < 0 or sum(parts) != n:
        raise ValueError(f"parts of {', '.join(map(str, parts))} do not make an axis of {n}")
    return parts


def split(xp, a, x, sizes=None):
    axis, start, parts = a.get("axis", 0) % x.ndim, 0, []
    for size in pieces(a, x, sizes):
        parts.append(x[(slice(None),) * axis + (slice(start, start + size),)])
        start += size
    return tuple(parts)


def gather(xp, a, x, indices=None):
    return xp.take(x, np.asarray(a["indices"] if indices is None else indices).astype(np.int64), axis=a.get("axis", 0))


def rotary(xp, a, x, cos, sin, positions):
    """x (n heads t d) by halves; cos and sin (p d/2) are read at the positions (n t)."""
    c, s = (xp.take(t, np.asarray(positions).astype(np.int64), axis=0)[:, None] for t in (cos, sin))
    first, second = x[..., :x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    return xp.concat((first * c - second * s, first * s + second * c), axis=-1)


def append(xp, a, cache, new, positions):
    """new (n h t d) at its positions (n t) in cache (n h p d)."""
    whole, places = np.array(cache), np.asarray(positions).astype(np.int64)
    for i, row in enumerate(places):
        whole[i][:, row] = new[i]
    return xp.asarray(whole)


def pad(xp, a, x, pads=None, value=None, axes=None):
    pads = a["pads"] if pads is None else ints(pads)
    axes = range(x.ndim) if axes is None else [i % x.ndim for i in ints(axes)]
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        widths[axis] = (pads[i], pads[len(pads) // 2 + i])
    if a.get("mode", "constant") != "constant":
        return xp.pad(x, widths, mode={"reflect": "reflect", "edge": "edge", "wrap": "wrap"}[a["mode"]])
    return xp.pad(x, widths, constant_values=float(a.get("value", 0.0) if value is None else value))


def reduce_mean(xp, a, x, axes=None):
    axes = a.get("axes") if axes is None else ints(axes)
    return xp.mean(x, axis=tuple(axes) if axes else None, keepdims=bool(a.get("keepdims", 1)))


def reduce_sum(xp, a, x, axes=None):
    axes = a.get("axes") if axes is None else ints(axes)
    if not axes and a.get("noop_with_empty_axes"):
        return x
    return xp.sum(x, axis=tuple(axes) if axes else None, keepdims=bool(a.get("keepdims", 1)))


def expand(xp, a, x, shape=None):
    return x * xp.ones(a["shape"] if shape is None else ints(shape), dtype=x.dtype)


def argmax(xp, a, x):
    axis = a.get("axis", 0)
    index = xp.argmax(x, axis=axis)
    return xp.expand_dims(index, axis=axis) if a.get("keepdims", 1) else index


def topk(xp, a, x, k=None):
    """(values, places) of the largest, equal ones in the order in which they stand."""
    axis, k = a.get("axis", -1), a["k"] if k is None else ints(k)[0]
    order = np.argsort(-np.asarray(x) if a.get("largest", 1) else np.asarray(x), axis=axis, kind="stable")
    places = np.take(order, np.arange(k), axis=axis)
    return xp.asarray(np.take_along_axis(np.asarray(x), places, axis)), xp.asarray(places)


def clip(xp, a, x, lo=None, hi=None):
    lo = a.get("min", -math.inf) if lo is None else lo
    hi = a.get("max", math.inf) if hi is None else hi
    return xp.minimum(xp.maximum(x, lo), hi)


def cast(xp, a, x):
    return xp.astype(x, {"float": np.float64, "int": np.int64, "bool": np.bool_}[a["to"]])


def divide(xp, a, x, y):
    both = np.issubdtype(np.asarray(x).dtype, np.integer) and np.issubdtype(np.asarray(y).dtype, np.integer)
    return xp.astype(xp.trunc(x / y), np.int64) if both else x / y      # small integers: shapes


def trilu(xp, a, x, k=None):
    return (xp.triu if a.get("upper", 1) else xp.tril)(x, k=0 if k is None else int(np.asarray(k).item()))


def shape_of(xp, a, x):
    return np.asarray(x.shape[a.get("start", 0):a.get("end", None)], np.int64)


table = {
    "MatMul": matmul, "Linear": linear, "Gemm": gemm, "Conv": conv, "Softmax": softmax, "Attention": attention,
    **norms.table,
    "Add": lambda xp, a, x, y: x + y, "Sub": lambda xp, a, x, y: x - y, "Mul": lambda xp, a, x, y: x * y, "Div": divide,
    "Mod": lambda xp, a, x, y: xp.fmod(x, y) if a.get("fmod") else xp.mod(x, y),
    "Pow": lambda xp, a, x, y: xp.pow(x, y), "Neg": lambda xp, a, x: -x, "Abs": lambda xp, a, x: xp.abs(x),
    "Sqrt": lambda xp, a, x: xp.sqrt(x), "Exp": lambda xp, a, x: xp.exp(x), "Log": lambda xp, a, x: xp.log(x),
    "Reciprocal": lambda xp, a, x: 1 / x, "Erf": lambda xp, a, x: xp.erf(x), "Tanh": lambda xp, a, x: xp.tanh(x),
    "Sigmoid": sigmoid, "Swish": lambda xp, a, x: x * sigmoid(xp, a, a.get("alpha", 1.0) * x), "Gelu": gelu,
    "HardSigmoid": lambda xp, a, x: xp.clip(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda xp, a, x: x * xp.clip(x / 6 + 0.5, 0, 1), "Relu": lambda xp, a, x: xp.maximum(x, 0.0),
    "LeakyRelu": lambda xp, a, x: xp.where(x < 0, a.get("alpha", 0.01) * x, x), "Clip": clip,
    "Min": lambda xp, a, x, y: xp.minimum(x, y), "Max": lambda xp, a, x, y: xp.maximum(x, y),
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
    "Slice": slices, "Split": split, "Gather": gather, "Concat": lambda xp, a, *x: xp.concat(x, axis=a["axis"]),
    "Pad": pad, "Expand": expand, "Tile": lambda xp, a, x, repeats: xp.tile(x, ints(repeats)),
    "AveragePool": average_pool, "MaxPool": max_pool, "ConvTranspose": conv_transpose,
    "Requantize": lambda xp, a, x: x * a.get("by", 1.0),
    "Ceil": lambda xp, a, x: xp.ceil(x), "Floor": lambda xp, a, x: xp.floor(x), "Col2Im": col2im,
    "ReduceMean": reduce_mean, "ReduceSum": reduce_sum, "GlobalAveragePool":
        lambda xp, a, x: xp.mean(x, axis=tuple(range(2, x.ndim)), keepdims=True),
    "RotaryEmbedding": rotary, "Append": append,
    "ArgMax": argmax, "TopK": topk, "TopKValues": lambda xp, a, x: topk(xp, a, x)[0],
    "TopKPlaces": lambda xp, a, x: topk(xp, a, x)[1],
    "Identity": lambda xp, a, x: x, "Dropout": lambda xp, a, x, ratio=None, training=None: x,
    "Cast": cast,
    "CastLike": lambda xp, a, x, like: xp.astype(x, like.dtype), "Shape": shape_of,
    "Size": lambda xp, a, x: np.asarray(x.size, np.int64), "Constant": lambda xp, a: a["value"],
    "ConstantOfShape": lambda xp, a, shape: np.full(ints(shape), a.get("value", 0.0)),
    "Where": lambda xp, a, c, x, y: xp.where(c, x, y), "Equal": lambda xp, a, x, y: x == y,
    "Less": lambda xp, a, x, y: x < y, "Greater": lambda xp, a, x, y: x > y, "Not": lambda xp, a, x: xp.logical_not(x),
    "LessOrEqual": lambda xp, a, x, y: x <= y, "GreaterOrEqual": lambda xp, a, x, y: x >= y,
    "And": lambda xp, a, x, y: xp.logical_and(x, y), "Or": lambda xp, a, x, y: xp.logical_or(x, y),
    "Trilu": trilu, "IsNaN": lambda xp, a, x: xp.isnan(x),
    "Range": lambda xp, a, start, limit, step: np.arange(start, limit, step),
}
"""ONNX's operation name to its function: everything that a float graph may hold."""
