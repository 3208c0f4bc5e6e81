"""windows: convolutions and pools of a float graph, over images (n c h w), in float64; source: the ONNX operator reference.

Functions that compute take the array functions, the node's attributes and its inputs, as those of floats.py do.
"""
import math

import numpy as np

from refq.errors import Unsupported


def conv_padding(a, size, kernel):
    """(begins, ends) of a Conv, in pixels, from its `pads` or `auto_pad`, for an image of `size`."""
    rank, word = len(size), a.get("auto_pad", "NOTSET")
    if word == "NOTSET":
        pads = tuple(a.get("pads", (0,) * 2 * rank))
        return pads[:rank], pads[rank:]
    if word == "VALID":
        return (0,) * rank, (0,) * rank
    strides, dilations = a.get("strides", (1,) * rank), a.get("dilations", (1,) * rank)
    total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
             for n, k, s, d in zip(size, kernel, strides, dilations)]
    small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (small, large) if word == "SAME_UPPER" else (large, small)


def conv_size(a, size, kernel):
    """The size of a Conv's result, for an image of `size`."""
    begins, ends = conv_padding(a, size, kernel)
    rank = len(size)
    strides, dilations = a.get("strides", (1,) * rank), a.get("dilations", (1,) * rank)
    return tuple((n + b + e - (k - 1) * d - 1) // s + 1
                 for n, b, e, k, d, s in zip(size, begins, ends, kernel, dilations, strides))


def conv(xp, a, x, weight, bias=None):
    if x.ndim != 4:
        raise Unsupported(f"A convolution over {x.ndim - 2} spatial axes is not supported, only over two.")
    (m, d, kh, kw), groups = weight.shape, a.get("group", 1)
    (top, left), (bottom, right) = conv_padding(a, x.shape[2:], (kh, kw))
    (sh, sw), (dh, dw) = a.get("strides", (1, 1)), a.get("dilations", (1, 1))
    oh, ow = conv_size(a, x.shape[2:], (kh, kw))
    x = xp.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    taps = xp.stack([x[:, :, i * dh:i * dh + (oh - 1) * sh + 1:sh, j * dw:j * dw + (ow - 1) * sw + 1:sw]
                     for i in range(kh) for j in range(kw)], axis=2)
    taps = xp.reshape(taps, (x.shape[0], groups, d * kh * kw, oh * ow))
    result = xp.matmul(xp.reshape(weight, (groups, m // groups, d * kh * kw)), taps)
    result = xp.reshape(result, (x.shape[0], m, oh, ow))
    return result if bias is None else result + xp.reshape(bias, (1, m, 1, 1))


def window(a, shape):
    """Attributes of a pool or a convolution with every one said, for an image of `shape`: kernel, strides, dilations, pads;
    the pads at the end reach as far as `ceil_mode` asks."""
    kernel = tuple(a["kernel_shape"])
    strides, dilations = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    begins, ends = conv_padding({"strides": strides, "dilations": dilations} | a, shape[2:], kernel)
    if a.get("ceil_mode"):
        ends = tuple(more(*axis) for axis in zip(shape[2:], begins, ends, kernel, strides, dilations))
    return kernel, strides, dilations, (*begins, *ends)


def more(n, begin, end, k, stride, dilation):
    """The padding at the end of an axis under which the last, partial window counts; one that starts beyond the image and
    its own padding does not."""
    reach = (k - 1) * dilation + 1
    count = -(-(n + begin + end - reach) // stride) + 1
    count -= (count - 1) * stride >= n + begin
    return max(end, (count - 1) * stride + reach - n - begin)


def windows(xp, a, x, fill):
    """What lies under each place of a window (n c taps h w), `fill` outside of the image."""
    if x.ndim != 4:
        raise Unsupported(f"A pool over {x.ndim - 2} spatial axes is not supported, only over two.")
    (kh, kw), (sh, sw), (dh, dw), (top, left, bottom, right) = window(a, x.shape)
    x = xp.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    oh, ow = ((n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(x.shape[2:], (kh, kw), (dh, dw), (sh, sw)))
    return xp.stack([x[:, :, i * dh:i * dh + (oh - 1) * sh + 1:sh, j * dw:j * dw + (ow - 1) * sw + 1:sw]
                     for i in range(kh) for j in range(kw)], axis=2)


def average_pool(xp, a, x):
    """The mean of the pixels of the image under the window; with `count_include_pad` of those that `pads` says around it
    too, but never of what only fills the last window. `counted`: those pads where `pads` holds both."""
    total = xp.sum(windows(xp, a, x, 0.0), axis=2)
    pads, counted = window(a, x.shape)[3], a.get("counted", (0, 0, 0, 0))
    if a.get("count_include_pad"):
        counted = window({**a, "ceil_mode": 0}, x.shape)[3]
    top, left, bottom, right = counted
    inside = xp.pad(xp.ones((1, 1, *x.shape[2:])), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=1.0)
    rest = {k: v for k, v in a.items() if k in ("kernel_shape", "strides", "dilations")}
    return total / xp.sum(windows(xp, rest | {"pads": tuple(m - n for m, n in zip(pads, counted))}, inside, 0.0), axis=2)


def max_pool(xp, a, x):
    return xp.max(windows(xp, a, x, -math.inf), axis=2)


def transposed_padding(a, size, kernel):
    """(begins, ends, output padding) of a ConvTranspose, in pixels that its full result loses."""
    rank = len(size)
    strides, dilations = a.get("strides", (1,) * rank), a.get("dilations", (1,) * rank)
    extra = tuple(a.get("output_padding", (0,) * rank))
    word = a.get("auto_pad", "NOTSET")
    if "output_shape" in a or word.startswith("SAME"):
        wanted = tuple(a.get("output_shape", [n * s for n, s in zip(size, strides)]))[-rank:]
        total = [s * (n - 1) + o + (k - 1) * d + 1 - w
                 for n, s, o, k, d, w in zip(size, strides, extra, kernel, dilations, wanted)]
        small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        return (large, small, extra) if word != "SAME_UPPER" else (small, large, extra)
    pads = tuple(a.get("pads", (0,) * 2 * rank)) if word == "NOTSET" else (0,) * 2 * rank
    return pads[:rank], pads[rank:], extra


def conv_transpose(xp, a, x, weight, bias=None):
    """Weights (c m/groups kh kw): every pixel spreads its filter over the result."""
    if x.ndim != 4:
        raise Unsupported(f"A transposed convolution over {x.ndim - 2} spatial axes is not supported, only over two.")
    (n, c, h, w), (_, m, kh, kw), groups = x.shape, weight.shape, a.get("group", 1)
    (sh, sw), (dh, dw) = a.get("strides", (1, 1)), a.get("dilations", (1, 1))
    (top, left), (bottom, right), (eh, ew) = transposed_padding(a, (h, w), (kh, kw))
    full = np.zeros((n, groups * m, (h - 1) * sh + (kh - 1) * dh + 1 + eh, (w - 1) * sw + (kw - 1) * dw + 1 + ew))
    parts = np.einsum("ngchw,gcmij->ngmijhw", np.asarray(x).reshape(n, groups, c // groups, h, w),
                      np.asarray(weight).reshape(groups, c // groups, m, kh, kw)).reshape(n, groups * m, kh, kw, h, w)
    for i in range(kh):
        for j in range(kw):
            full[:, :, i * dh:i * dh + (h - 1) * sh + 1:sh, j * dw:j * dw + (w - 1) * sw + 1:sw] += parts[:, :, i, j]
    result = xp.asarray(full[:, :, top:full.shape[2] - bottom, left:full.shape[3] - right])
    return result if bias is None else result + xp.reshape(bias, (1, -1, 1, 1))


def col2im(xp, a, x, size, kernel):
    """Patches (n c*kh*kw patches), one column each, added up at their places in an image of `size`: torch's fold."""
    (h, w), (kh, kw) = (tuple(int(v) for v in np.asarray(given).reshape(-1)) for given in (size, kernel))
    (sh, sw), (dh, dw) = a.get("strides") or (1, 1), a.get("dilations") or (1, 1)
    top, left, bottom, right = a.get("pads") or (0, 0, 0, 0)
    oh, ow = conv_size({"pads": (top, left, bottom, right), "strides": (sh, sw), "dilations": (dh, dw)}, (h, w), (kh, kw))
    parts = np.asarray(x).reshape(len(x), -1, kh, kw, oh, ow)
    full = np.zeros((len(x), parts.shape[1], h + top + bottom, w + left + right))
    for i in range(kh):
        for j in range(kw):
            full[:, :, i * dh:i * dh + (oh - 1) * sh + 1:sh, j * dw:j * dw + (ow - 1) * sw + 1:sw] += parts[:, :, i, j]
    return xp.asarray(full[:, :, top:top + h, left:left + w])
