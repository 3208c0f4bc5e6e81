"""Counting bits of 64-bit two's complement: Python integers, NumPy int64 arrays and jitted kernels from one text."""
from refq.ints.jit import word


@word
def length(v):
    """The position of the highest one, counted from 1; 0 for 0 and 64 for negative v."""
    n, rest = 64 * (v < 0), v * (v >= 0)
    for s in (32, 16, 8, 4, 2, 1):
        step = s * ((rest >> s) > 0)
        n, rest = n + step, rest >> step
    return n + (rest > 0)


@word
def clz64(v):
    """How many zeros lead the 64 bits of v."""
    return 64 - length(v)


@word
def clz32(v):
    """How many zeros lead the low 32 bits of v."""
    return 32 - length(v & 0xFFFFFFFF)


@word
def ctz64(v):
    """How many zeros follow the lowest one of v; 64 for 0 (RISC-V ctz)."""
    return length(~v & (v - 1))
