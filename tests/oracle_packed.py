"""Oracle of products in packed words, in Python integers of any size: words are numbers to the base 2**bits."""


def digits(number, bits, count, signed):
    """The lowest `count` digits to the base 2**bits, each the nearest to 0 that has the same rest where `signed`."""
    base, found = 2 ** bits, []
    for _ in range(count):
        digit = number % base
        if signed and digit >= base // 2:
            digit -= base
        found.append(digit)
        number = (number - digit) // base
    return found


def number(parts, bits):
    return sum(part * 2 ** (i * bits) for i, part in enumerate(parts))


def lanes(rows, shared, drain, offset, apart, spread, signed):
    """Sums over k of rows[i][k] * shared[k], through words of one product and of a sum that are of any size."""
    totals, held = [0] * len(rows), 0
    for k, s in enumerate(shared):
        product = number([row[k] + offset for row in rows], apart) * s
        held += number(digits(product, apart, len(rows), signed), spread)
        if (k + 1) % drain == 0 or k + 1 == len(shared):
            totals = [t + d for t, d in zip(totals, digits(held, spread, len(rows), signed))]
            held = 0
    return [t - offset * sum(shared) for t in totals]


def pairs(x, w, drain, apart, word, block, into):
    """The sum over k of x[k] * w[k], two at a time: the middle digit of words that keep `word` bits, in sums that keep `into`."""
    x, w = ([*codes, 0][:len(codes) + len(codes) % 2] for codes in (x, w))
    total = 0
    for start in range(0, len(x), block):
        held = 0
        for first in range(start, min(start + block, len(x)), 2 * drain):
            last = min(first + 2 * drain, start + block, len(x))
            added = sum(number(x[k:k + 2], apart) * number(w[k:k + 2][::-1], apart) for k in range(first, last, 2)) % 2 ** word
            held += digits(added, apart, 2, False)[1]
        total += held % 2 ** into
    return total


def dsp48(x, w, correction):
    """The four fields of one product of INT4x4: 8 bits from bits 0, 11, 22 and 33; x and w are pairs."""
    starts = (0, 11, 22, 33)
    product = (x[0] + x[1] * 2 ** 11) * (w[0] + w[1] * 2 ** 22)
    if correction == "approximate":
        product += sum(2 ** start for start, sign in zip(starts[1:], (w[0], w[0], w[1])) if sign < 0)
    found = []
    for start in starts:
        field = product // 2 ** start % 256
        below = product // 2 ** (start - 1) % 2 if correction == "full" and start else 0
        found.append(field - 256 * (field > 127) + below)
    return found


def matmul(products, x, w, bias, zx, zw):
    """acc of one output from the sum of products of its codes."""
    return bias + products - zx * sum(w) - zw * sum(x) + len(x) * zx * zw
