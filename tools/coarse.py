"""How tensors look on the way through the network that tools/train_digits.py trains: as they are, or rounded to grids.

A simulation in float32, for training and for a first look at what quantizing costs; refq's own recipes are exact.
"""
import torch
from torch.nn import functional as F


class Exact:
    """Everything as it is. `code` sees every activation, `weight` every weight, each with its name."""

    def code(self, name, x):
        return x

    def weight(self, name, w):
        return w

    def gelu(self, x):
        return F.gelu(x)

    def softmax(self, x):
        return x.softmax(-1)


class Watched(Exact):
    """Remembers the range of every activation."""

    def __init__(self):
        self.ranges = {}

    def code(self, name, x):
        self.ranges[name] = x.amin(), x.amax()
        return x


class Coarse(Exact):
    """Weights of `bits` per output channel (first and last layer: 8), activations of 8 bits over their own range, the
    residual stream of `stream` bits, GELU and softmax as I-ViT computes them. Gradients pass straight through."""

    def __init__(self, bits, stream=16):
        self.bits, self.stream = bits, stream

    def range_of(self, name, x):
        return x.amin().detach(), x.amax().detach()

    def code(self, name, x):
        bits = self.stream if name.endswith("stream") else 8
        return straight(x, on_grid(x, *self.range_of(name, x), bits))

    def weight(self, name, w):
        return straight(w, narrow(w, self.bits if name.startswith("blocks") else 8))

    def gelu(self, x):
        top = torch.clamp(x, min=0)
        up, down = shift_exp((x - top) * 1.6875), shift_exp(-top * 1.6875)
        return straight(F.gelu(x), x * up / (up + down))

    def softmax(self, x):
        e = shift_exp(x - x.amax(-1, keepdim=True))
        return straight(x.softmax(-1), e / e.sum(-1, keepdim=True))


class Calibrated(Coarse):
    """Coarse, with the ranges that were watched on calibration images."""

    def __init__(self, ranges, bits, stream=16):
        super().__init__(bits, stream)
        self.ranges = ranges

    def range_of(self, name, x):
        return self.ranges[name]


def straight(x, rounded):
    """`rounded` forward, the gradient of `x` backward."""
    return x + (rounded - x).detach()


def on_grid(x, lo, hi, bits):
    """x rounded to an asymmetric grid of 2**bits codes from lo to hi, of which 0 is one."""
    lo, hi = torch.clamp(lo, max=0), torch.clamp(hi, min=0)
    scale = torch.clamp(hi - lo, min=1e-12) / (2**bits - 1)
    zero = torch.round(-lo / scale)
    return (torch.clamp(torch.round(x / scale) + zero, 0, 2**bits - 1) - zero) * scale


def narrow(w, bits):
    """w rounded to a symmetric grid for each output channel."""
    scale = torch.clamp(w.abs().amax(dim=tuple(range(1, w.ndim)), keepdim=True), min=1e-12) / (2 ** (bits - 1) - 1)
    return torch.round(w / scale) * scale


def shift_exp(x):
    """exp for x <= 0 as I-ViT computes it: log2(e) as 1.4375, and 2**-r as 1 - r/2."""
    power = x * 1.4375
    whole = torch.ceil(power)
    return (1 + (power - whole) / 2) * torch.exp2(whole)
