"""Real functions at 60 digits, the same on every machine: what tables are rounded from.

Each takes and gives a Decimal; `named(name)` finds one. Where a float64 library would be off by an ulp, and another one
by another, these are right to at least 40 digits for arguments that 16-bit codes reach.
"""
import math
from decimal import Decimal, localcontext

from refq.errors import IllFormed

DIGITS = 60
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")
FAR = 400       # beyond it exp is 0 or infinite for any table, and Decimal would grow without end


def bounded(x):
    return max(min(x, Decimal(FAR)), Decimal(-FAR))


def identity(x):
    return x


def relu(x):
    return max(x, Decimal(0))


def exp(x):
    return bounded(x).exp()


def sigmoid(x):
    return 1 / (1 + exp(-x))


def tanh(x):
    # 2 * sigmoid(2x) - 1 loses digits near 0, which 60 can spare
    return 2 * sigmoid(2 * x) - 1


def silu(x):
    return x * sigmoid(x)


def erf(x):
    """By its alternating series, with as many digits more as the largest term has."""
    if abs(x) > 13:         # 1 - erf(13) is below 10**-74
        return Decimal(1).copy_sign(x)
    with localcontext(prec=DIGITS + 80):
        square, term, total, k = x * x, x, x, 0
        while abs(term) > Decimal(10) ** -(DIGITS + 5):
            k += 1
            term = -term * square / k
            total += term / (2 * k + 1)
        total = 2 * total / PI.sqrt()
    return +total


def gelu(x):
    """x * Phi(x); the far negative tail is below any table's unit."""
    return x * (1 + erf(x / Decimal(2).sqrt())) / 2


def gelu_tanh(x):
    return x * (1 + tanh((2 / PI).sqrt() * (x + Decimal("0.044715") * x ** 3))) / 2


def quick_gelu(x):
    """x * sigmoid(1.702 x), which CLIP has and ShiftGELU stands for."""
    return x * sigmoid(Decimal("1.702") * x)


def hard_sigmoid(x):
    return min(max(x / 6 + Decimal("0.5"), Decimal(0)), Decimal(1))


def hard_swish(x):
    return x * min(max(x + 3, Decimal(0)), Decimal(6)) / 6


functions = {f.__name__: f for f in (
    identity, relu, exp, sigmoid, tanh, silu, erf, gelu, gelu_tanh, quick_gelu, hard_sigmoid, hard_swish)}
names = tuple(functions)


def named(name):
    """The function of that name."""
    if name not in functions:
        raise IllFormed(f"a function named {name!r}; there are {', '.join(names)}, or give a callable of a Decimal")
    return functions[name]


# The same in float64, right to a part in 10**12 and in sign, and exactly 0 where the text above is: enough to round all
# but the few values that lie next to a tie.

def quick_sigmoid(x):
    return 1 / (1 + math.exp(min(max(-x, -FAR), FAR)))


def quick_erfc_half(x):
    """Phi(x); 0 where erf above is -1."""
    return 0.0 if x < 0 and x * x > 338 else 0.5 * math.erfc(-x / math.sqrt(2))


quick = {
    "sigmoid": quick_sigmoid,
    "silu": lambda x: x * quick_sigmoid(x),
    "quick_gelu": lambda x: x * quick_sigmoid(1.702 * x),
    "gelu": lambda x: x * quick_erfc_half(x),
    "gelu_tanh": lambda x: x * quick_sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)),
}
"""Name to a function of floats."""
