"""PyTorch: quantize_per_tensor, quantize_per_channel, and their fake forms, on the CPU."""
import numpy as np

from refq.ints.width import I8, U8
from refq.testing import faked
from tools.quantizers.subject import Subject, per_axis, per_tensor


def version():
    import torch
    return torch.__version__.split("+")[0]


def tensor(x):
    """A tensor over the same memory, where torch has such strides, and what it says of memory that must not be written to."""
    import torch
    if any(s < 0 for s in x.strides) or not x.flags.writeable:
        x = x.copy()
    return torch.from_numpy(x)


def kind(grid):
    import torch
    return {I8: torch.qint8, U8: torch.quint8}[grid.width]


def real(x, grid):
    """The quantized tensor."""
    import torch
    if grid.axis is None:
        return torch.quantize_per_tensor(tensor(x), float(grid.scale), int(grid.zero), kind(grid))
    return torch.quantize_per_channel(tensor(x), torch.tensor(grid.scale), torch.tensor(grid.zero), grid.axis, kind(grid))


def quantize(x, grid):
    return real(x, grid).int_repr().numpy()


def dequantize(codes, grid):
    import torch
    codes = tensor(np.asarray(codes))
    if grid.axis is None:
        return torch._make_per_tensor_quantized_tensor(codes, float(grid.scale), int(grid.zero)).dequantize().numpy()
    return torch._make_per_channel_quantized_tensor(codes, torch.tensor(grid.scale), torch.tensor(grid.zero), grid.axis) \
        .dequantize().numpy()


def fake(x, grid):
    import torch
    if grid.axis is None:
        return torch.fake_quantize_per_tensor_affine(tensor(x), float(grid.scale), int(grid.zero), grid.lo, grid.hi).numpy()
    scale, zero = torch.tensor(grid.scale, dtype=torch.float32), torch.tensor(grid.zero, dtype=torch.int32)
    axis = grid.axis % x.ndim
    return torch.fake_quantize_per_channel_affine(tensor(x), scale, zero, axis, grid.lo, grid.hi).numpy()


def fake_by_tensors(x, grid):
    """The scale and the zero point as tensors, as modules of quantization-aware training hold them."""
    import torch
    scale, zero = torch.tensor(float(grid.scale), dtype=torch.float32), torch.tensor(int(grid.zero), dtype=torch.int32)
    return torch.fake_quantize_per_tensor_affine(tensor(x), scale, zero, grid.lo, grid.hi).numpy()


fake_quantize, fake_dequantize = faked(fake)
fake_tensors_quantize, fake_tensors_dequantize = faked(fake_by_tensors)


def subjects():
    tensors, axes = per_tensor("int8", "uint8"), per_axis("int8", "uint8", axes=(0, 1))
    return (Subject("torch quantize_per_tensor", quantize, dequantize, tensors, group="per tensor"),
            Subject("torch quantize_per_channel", quantize, dequantize, axes, group="per channel"),
            Subject("torch fake_quantize_per_tensor_affine", fake_quantize, fake_dequantize, tensors, group="per tensor"),
            Subject("torch fake_quantize_per_tensor_affine (tensors)", fake_tensors_quantize, fake_tensors_dequantize, tensors),
            Subject("torch fake_quantize_per_channel_affine", fake_quantize, fake_dequantize, axes, group="per channel"))
