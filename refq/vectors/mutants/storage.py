"""Storage mutants: codes that are read or written in another representation than the one they have."""
import numpy as np

from refq import ops
from refq.vectors.mutants import phrases


def mutants(step):
    """(kind, name, phrase, local, wrap) of every misread operand and miswritten result of the step."""
    shared = getattr(ops.load(step.op), "SHARED", ())
    for name, declared in step.row.takes.items():
        if declared.names and declared.width.dtype.kind != "f":
            for misread, fits in READ.items():
                if fits(declared.width) and (declared.lo < 0 or not declared.width.signed):
                    yield ("storage", f"{name} read: {misread.__name__}", phrases.storage(name, misread.__name__),
                           misread is not pairs_swapped and name not in shared, read(name, misread, declared.width))
    for name, declared in step.row.gives.items():
        for miswritten, fits in WRITTEN.items():
            if declared.width.dtype.kind != "f" and fits(declared.width):
                yield ("storage", f"{name} written: {miswritten.__name__}", phrases.storage(name, miswritten.__name__),
                       miswritten is not pairs_swapped, write(name, miswritten, declared.width))


def read(name, misread, width):
    def wrap(run):
        return lambda operands, **how: run({**operands, name: misread(operands[name], width)}, **how)
    return wrap


def write(name, miswritten, width):
    def wrap(run):
        def altered(operands, **how):
            results = run(operands, **how)
            return {**results, name: miswritten(results[name], width)}
        return altered
    return wrap


def sign_lost(codes, width):
    """Two's complement read as unsigned: int64, since the container does not hold it."""
    return codes.astype(np.int64) & ((1 << width.bits) - 1)


def sign_invented(codes, width):
    """Unsigned codes read as two's complement."""
    half = 1 << width.bits - 1
    return (codes.astype(np.int64) ^ half) - half


def offset_binary(codes, width):
    """The top bit turned over: offset binary taken for two's complement."""
    return (codes.astype(np.int64) ^ (1 << width.bits - 1)) if not width.signed else width.wrap(
        codes.astype(np.int64) ^ -(1 << width.bits - 1))


def pairs_swapped(codes, width):
    """The two codes of each byte in the other order; along the last axis, an odd last one stays."""
    even = codes.shape[-1] // 2 * 2
    swapped = codes.copy()
    swapped[..., :even:2], swapped[..., 1:even:2] = codes[..., 1:even:2], codes[..., :even:2]
    return swapped


def sign_and_magnitude(codes, width):
    """The top bit read as a sign, and the others as what it is of."""
    low = codes.astype(np.int64) & (1 << width.bits - 1) - 1
    return np.where(codes < 0, -low, low)


def bytes_swapped(codes, width):
    """The bytes of each code in the other order."""
    return np.ascontiguousarray(codes).byteswap()


def high_byte_lost(codes, width):
    """Only the low 16 bits of each code, with their sign."""
    return width.wrap((codes.astype(np.int64) & 0xFFFF ^ 0x8000) - 0x8000)


READ = {
    sign_lost: lambda w: w.signed and w.bits <= 16,
    sign_invented: lambda w: not w.signed,
    offset_binary: lambda w: w.bits <= 8,
    sign_and_magnitude: lambda w: w.signed and w.bits <= 8,
    pairs_swapped: lambda w: w.bits <= 4,
    bytes_swapped: lambda w: w.bits in (16, 32),
    high_byte_lost: lambda w: w.bits == 32 and w.signed,
}
WRITTEN = {
    offset_binary: lambda w: w.bits <= 8,
    pairs_swapped: lambda w: w.bits <= 8,
    bytes_swapped: lambda w: w.bits in (16, 32),
    high_byte_lost: lambda w: w.bits == 32 and w.signed,
}
"""Which representation can be meant of which width."""
