"""The oracle of pools and transposed convolutions: Python integers and fractions, one window at a time, by definition.

It shares no code with refq. Images come and go as nested lists (n h w c).
"""
from fractions import Fraction
from itertools import product

from tests.oracle import divided, float32_of, saturated, shifted
from tests.oracle_linear import exactly


def conv_transpose2d(x, w, bias, zx, zw, stride, padding, dilation, groups, joined=exactly):
    """x (n h w c), w (m kh kw d): every place throws its window; what lands on one place is joined in that order."""
    h, width, c = len(x[0]), len(x[0][0]), len(x[0][0][0])
    m, kh, kw, d = len(w), len(w[0]), len(w[0][0]), len(w[0][0][0])
    top, left, bottom, right = padding
    oh = (h - 1) * stride[0] + (kh - 1) * dilation[0] + 1 - top - bottom
    ow = (width - 1) * stride[1] + (kw - 1) * dilation[1] + 1 - left - right
    images = []
    for image in x:
        landed = {place: [] for place in product(range(oh), range(ow), range(m))}
        for iy, ix, k, i, j, f in product(range(h), range(width), range(c), range(kh), range(kw), range(m)):
            if k // d != f // (m // groups):
                continue
            place = iy * stride[0] + i * dilation[0] - top, ix * stride[1] + j * dilation[1] - left, f
            if place in landed:
                landed[place].append((image[iy][ix][k] - zx) * (w[f][i][j][k % d] - zw[f]))
        images.append([[[joined(bias[f], landed[y, at, f]) for f in range(m)] for at in range(ow)] for y in range(oh)])
    return images


def windows(image, row):
    """{(oy, ox): (codes of each channel, places in the image, places in the image or its padding)}; `row` gives the geometry."""
    (kh, kw), (sy, sx), (dy, dx), (top, left, bottom, right) = row.kernel, row.stride, row.dilation, row.padding
    h, w, c = len(image), len(image[0]), len(image[0][0])
    below, beside = getattr(row, "beyond", (0, 0))
    found = {}
    tall, broad = h + bottom + below - dy * (kh - 1), w + right + beside - dx * (kw - 1)
    for oy, ox in product(range(-top, tall, sy), range(-left, broad, sx)):
        read = [(oy + i * dy, ox + j * dx) for i, j in product(range(kh), range(kw))]
        seen = [(y, at) for y, at in read if 0 <= y < h and 0 <= at < w]
        padded = [(y, at) for y, at in read if y < h + bottom and at < w + right]
        found[(oy + top) // sy, (ox + left) // sx] = ([[image[y][at][k] for y, at in seen] for k in range(c)], len(seen),
                                                      len(padded))
    return found


def pooled(x, row, of):
    """`of(codes, places in the image, places that count)` for every window and channel, as nested lists."""
    images = []
    for image in x:
        found = windows(image, row)
        tall, broad = (1 + max(place[axis] for place in found) for axis in (0, 1))
        every = getattr(row, "counts", "valid") == "all"
        images.append([[[of(codes, valid, padded if every else valid) for codes in channels]
                        for ox in range(broad) for channels, valid, padded in [found[oy, ox]]] for oy in range(tall)])
    return images


def mean(row, zin, zp, pairs):
    """A function for `pooled` of average_pool; `pairs` None, or [(mult, shift)] of each count."""
    taken = row.zero_point == "taken"

    def of(codes, valid, n):
        acc = sum(codes) - (valid * zin if taken else 0)
        value = shifted(row.ties, acc * pairs[n - 1][0], pairs[n - 1][1]) if pairs else divided(row.ties, acc, n)
        return saturated(value + (zp if taken else 0), row.out.bits, row.out.signed)
    return of


def rounded(x, ties):
    return divided(ties, x.numerator, x.denominator)


def mean_by_product(row, zin, scale, zp, joins):
    """Of average_pool_float32: a sum, one product, and the zero point that is kept, or joins after the rounding, inside, or
    fused."""
    def of(codes, valid, n):
        exact = float32_of(Fraction(sum(codes) - (0 if joins == "kept" else valid * zin))) * Fraction(float(scale[n - 1]))
        if joins in ("after", "kept"):
            code = rounded(float32_of(exact), row.ties) + (zp if joins == "after" else 0)
        else:
            code = rounded(float32_of((exact if joins == "fused" else float32_of(exact)) + zp), row.ties)
        return saturated(code, row.out.bits, row.out.signed)
    return of


def mean_of_values(row, sin, zin, sy, zp):
    """Of average_pool_values: float32 numbers joined one after the other."""
    def of(codes, valid, n):
        total = Fraction(0)
        for code in codes:
            total = float32_of(total + float32_of((code - zin) * Fraction(float(sin))))
        value = float32_of(float32_of(total / n) / Fraction(float(sy)))
        return saturated(rounded(float32_of(value + zp), "half_even"), row.out.bits, row.out.signed)
    return of
