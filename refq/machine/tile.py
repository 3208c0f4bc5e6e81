"""The vector instructions that LLVM does not find by itself in the loops of a matrix product.

A word is 32 bits that hold four int8 ("quads") or two int16 ("pairs") neighbours along k; the product of two words is
the sum of their four or two products. `tile` multiplies a few rows of words with one panel, in registers; `turn` lays
words into a panel. Both go through pointers without a look at bounds: dot.py keeps them. Words are little-endian, as is
every processor that has a unit.

Which units there are is asked of Numba's compiler, not of the machine: so the answer follows NUMBA_CPU_NAME and
NUMBA_CPU_FEATURES, and is part of the key under which a compiled kernel is kept.
"""
from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


@dataclass(frozen=True)
class Unit:
    """One way to multiply words, `lanes` an instruction, in tiles of `rows` x 2 vectors: what the registers hold.

    In quads the words of x are signed and those of the panel unsigned: x86 has no other mix before AVX-VNNI-INT8.
    """
    feature: str
    form: str
    lanes: int
    rows: int

    @property
    def width(self):
        """Columns of a tile and of a panel."""
        return 2 * self.lanes


units = (
    Unit("avx512vnni", "quads", 16, 8),
    Unit("avxvnni", "quads", 8, 4),
    Unit("avx512bw", "pairs", 16, 8),       # LLVM makes vpdpwssd of it where there is VNNI
    Unit("avx2", "pairs", 8, 4),
    Unit("sse2", "pairs", 4, 4),
)

instructions = {
    ("quads", 16): "llvm.x86.avx512.vpdpbusd.512",
    ("quads", 8): "llvm.x86.avx512.vpdpbusd.256",
    ("pairs", 16): "llvm.x86.avx512.pmaddw.d.512",
    ("pairs", 8): "llvm.x86.avx2.pmadd.wd",
    ("pairs", 4): "llvm.x86.sse2.pmadd.wd",
}


def available():
    """The units of the processor that Numba compiles for, best first; none where it is no x86."""
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return [unit for unit in units if f"+{unit.feature}" in features]


def best(*forms):
    """The best available unit of these forms, or None."""
    return next((unit for unit in available() if unit.form in forms), None)


def multiply(builder, form, lanes, acc, x, w):
    """acc + x . w in each lane, modulo 2**32: neither instruction saturates."""
    words, shorts = ir.VectorType(I32, lanes), ir.VectorType(I16, 2 * lanes)
    if form == "quads":
        kind, operands = ir.FunctionType(words, [words] * 3), [acc, w, x]
    else:
        kind, operands = ir.FunctionType(words, [shorts] * 2), [builder.bitcast(w, shorts), builder.bitcast(x, shorts)]
    product = builder.call(cgutils.get_or_insert_function(builder.module, kind, instructions[form, lanes]), operands)
    return product if form == "quads" else builder.add(acc, product)


def pointer(builder, array, row, word, kind):
    """Where word `word` of a row lies; the stride between rows is free, elements of any width lie dense within one."""
    stride, start = builder.extract_value(array.strides, 0), builder.bitcast(array.data, I8.as_pointer())
    offset = builder.add(builder.mul(stride, row), builder.mul(word, ir.Constant(I64, 4)))
    return builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())


def shuffle(builder, first, second, order):
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, len(order)), order))


def splat(builder, value, lanes):
    empty = ir.Constant(ir.VectorType(I32, lanes), ir.Undefined)
    return shuffle(builder, builder.insert_element(empty, value, ir.Constant(I32, 0)), empty, [0] * lanes)


def values(kinds):
    """The constants that a kernel was compiled with; None where one is a variable."""
    return [kind.literal_value for kind in kinds] if all(isinstance(kind, types.Literal) for kind in kinds) else None


@intrinsic(prefer_literal=True)
def tile(typing, form, lanes, rows, x, i, q, depth, panel, start, out, j):
    """out[i + r, j + c] = start[i + r] + sum_t x[i + r, q + t] . panel[t, c], for r < rows, c < 2 * lanes, t < depth.

    x holds words in elements of any width and q counts words; the panel is C-contiguous (depth 2*lanes) int32, start
    int32 (n), out int32 (n m); form, lanes and rows are constants of the kernel.
    """
    constants = values((form, lanes, rows))
    if constants is None:
        return None

    def generate(context, builder, signature, arguments):
        form, lanes, rows = constants
        x, panel, start, out = (
            context.make_array(signature.args[a])(context, builder, arguments[a]) for a in (3, 7, 8, 9)
        )
        i, q, depth, j = (arguments[a] for a in (4, 5, 6, 10))
        vector = ir.VectorType(I32, lanes)
        down = [builder.add(i, ir.Constant(I64, r)) for r in range(rows)]
        across = [ir.Constant(I64, 0), ir.Constant(I64, 1)]
        sources = [pointer(builder, x, r, q, I32) for r in down]
        accs = []
        for r in down:
            first = splat(builder, builder.load(builder.gep(start.data, [r])), lanes)
            accs.append([cgutils.alloca_once_value(builder, first) for _ in across])
        vectors = builder.bitcast(panel.data, vector.as_pointer())
        with cgutils.for_range(builder, depth) as loop:
            at = builder.mul(loop.index, ir.Constant(I64, 2))
            w = [builder.load(builder.gep(vectors, [builder.add(at, c)]), align=4) for c in across]
            for source, pair in zip(sources, accs):
                word = splat(builder, builder.load(builder.gep(source, [loop.index]), align=1), lanes)
                for acc, column in zip(pair, w):
                    builder.store(multiply(builder, form, lanes, builder.load(acc), word, column), acc)
        for r, pair in zip(down, accs):
            target = pointer(builder, out, r, j, vector)
            for c, acc in zip(across, pair):
                builder.store(builder.load(acc), builder.gep(target, [c]), align=4)
        return context.get_dummy_value()

    size = types.intp
    return types.void(form, lanes, rows, x, size, size, size, panel, start, out, size), generate


@intrinsic(prefer_literal=True)
def turn(typing, lanes, flip, w, j, q, panel, t, c):
    """panel[t + a, c + b] = w[j + b, q + a] ^ flip, for a, b < lanes: a square of words transposed in registers."""
    constants = values((lanes,))
    if constants is None:
        return None

    def generate(context, builder, signature, arguments):
        lanes, = constants
        w, panel = (context.make_array(signature.args[a])(context, builder, arguments[a]) for a in (2, 5))
        j, q, t, c = (arguments[a] for a in (3, 4, 6, 7))
        vector = ir.VectorType(I32, lanes)
        places = [ir.Constant(I64, r) for r in range(lanes)]
        flips = splat(builder, arguments[1], lanes)
        square = [
            builder.xor(builder.load(pointer(builder, w, builder.add(j, r), q, vector), align=1), flips) for r in places
        ]
        for bit in (1 << b for b in range(lanes.bit_length() - 1)):       # swap blocks of 1, 2, 4 ... off the diagonal
            low = [lanes + (s ^ bit) if s & bit else s for s in range(lanes)]
            high = [lanes + s if s & bit else s ^ bit for s in range(lanes)]
            for r in range(lanes):
                if not r & bit:
                    a, b = square[r], square[r | bit]
                    square[r], square[r | bit] = shuffle(builder, a, b, low), shuffle(builder, a, b, high)
        for r, words in zip(places, square):
            builder.store(words, pointer(builder, panel, builder.add(t, r), c, vector), align=4)
        return context.get_dummy_value()

    size = types.intp
    return types.void(lanes, types.int32, w, size, size, panel, size, size), generate
