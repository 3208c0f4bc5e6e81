"""norms: the float functions of normalizations: ONNX's names and forms, and canonical ones."""


def per_channel(xp, vector, rank, axis=1):
    shape = [1] * rank
    shape[axis] = -1
    return xp.reshape(vector, tuple(shape))


def layer_normalization(xp, a, x, gamma, beta=None):
    axes = tuple(range(a.get("axis", -1) % x.ndim, x.ndim))
    centred = x - xp.mean(x, axis=axes, keepdims=True)
    deviation = xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + a.get("epsilon", 1e-5))
    y = centred / deviation * gamma
    return y if beta is None else y + beta


def rms_normalization(xp, a, x, gamma):
    axes = tuple(range(a.get("axis", -1) % x.ndim, x.ndim))
    return x / xp.sqrt(xp.mean(x * x, axis=axes, keepdims=True) + a.get("epsilon", 1e-5)) * gamma


def group_normalization(xp, a, x, gamma, beta):
    """gamma and beta are one number a channel, or (ONNX opset 18) one a group."""
    groups, channels = a["num_groups"], x.shape[1]
    parts = xp.reshape(x, (x.shape[0], groups, -1))
    centred = parts - xp.mean(parts, axis=2, keepdims=True)
    y = centred / xp.sqrt(xp.mean(centred * centred, axis=2, keepdims=True) + a.get("epsilon", 1e-5))
    if gamma.shape[0] != channels:
        gamma, beta = (xp.repeat(v, channels // groups) for v in (gamma, beta))
    return xp.reshape(y, x.shape) * per_channel(xp, gamma, x.ndim) + per_channel(xp, beta, x.ndim)


def instance_normalization(xp, a, x, gamma, beta):
    return group_normalization(xp, a | {"num_groups": x.shape[1]}, x, gamma, beta)


def batch_normalization(xp, a, x, gamma, beta, mean=None, variance=None):
    """With the statistics of ONNX; without them (canonical) one factor and one offset along `axis`."""
    if mean is None:
        return x * per_channel(xp, gamma, x.ndim, a["axis"]) + per_channel(xp, beta, x.ndim, a["axis"])
    factor = gamma / xp.sqrt(variance + a.get("epsilon", 1e-5))
    return x * per_channel(xp, factor, x.ndim) + per_channel(xp, beta - mean * factor, x.ndim)


def lp_normalization(xp, a, x):
    """0 where the norm is 0; canonical: the norm is at least `epsilon`."""
    axis = a.get("axis", -1)
    norm = xp.sum(xp.abs(x), axis=axis, keepdims=True) if a.get("p", 2) == 1 else xp.sqrt(xp.sum(x * x, axis=axis, keepdims=True))
    norm = xp.maximum(norm, a.get("epsilon", 0.0))
    return x / xp.where(norm == 0, 1.0, norm)


def reduce_l2(xp, a, x, axes=None):
    axes = a.get("axes") if axes is None else tuple(int(i) for i in axes.reshape(-1))
    return xp.sqrt(xp.sum(x * x, axis=tuple(axes) if axes else None, keepdims=bool(a.get("keepdims", 1))))


table = {
    "LayerNormalization": layer_normalization, "BatchNormalization": batch_normalization,
    "RMSNormalization": rms_normalization, "SimplifiedLayerNormalization": rms_normalization,
    "GroupNormalization": group_normalization, "InstanceNormalization": instance_normalization,
    "LpNormalization": lp_normalization, "ReduceL2": reduce_l2,
}
