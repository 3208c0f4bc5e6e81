"""Integer square roots, for 0 <= v < 2**63: Python integers, NumPy int64 arrays and jitted kernels from one text.

    exact      floor(sqrt(v))
    newton10   ten steps k = (k + v // k) >> 1 from 2**16: 64 for v below 4096 or so, and m in place of m - 1 at some
               v = m**2 - 1 (I-ViT's I-LayerNorm: zkkli/I-ViT models/quantization_utils/quant_modules.py)

check   newton10 of 0, 1, 100 is 64; of 1000, 10**5, 10**6, 999999, 10**9, 2**32 - 1 it is 68, 316, 1000, 1000, 31622,
        65536
"""
from refq.errors import IllFormed
from refq.ints.jit import word as jitted


@jitted
def exact(v):
    # One bit of the root a turn, by subtraction: no square is formed, so nothing leaves 63 bits.
    rest, root = v, v & 0
    for bit in range(62, -1, -2):
        trial = root + (1 << bit)
        taken = rest >= trial
        rest = rest - trial * taken
        root = (root >> 1) + (1 << bit) * taken
    return root


@jitted
def newton10(v):
    k = (v & 0) + (1 << 16)
    for _ in range(10):
        k = (k + v // k) >> 1
    return k


roots = {f.__name__: f for f in (exact, newton10)}
names = tuple(roots)


def word(name):
    """The square root of that name."""
    if name not in roots:
        raise IllFormed(f"a square root named {name!r}; there are {', '.join(names)}")
    return roots[name]
