"""The oracle of operations that add and move codes: Python integers, one number at a time, by definition.

It shares no code with refq. Arrays come and go as nested lists; `joined` says how products join a sum.
"""
from itertools import product


def exactly(start, products):
    return start + sum(products)


def wrapped(bits):
    """All that is kept of a sum are its low bits."""
    def join(start, products):
        return (start + sum(products) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    return join


def clipped(bits):
    """The exact sum, at most and at least what the register holds."""
    def join(start, products):
        return max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, start + sum(products)))
    return join


def saturated(bits):
    """One product after the other; a partial sum stops at the ends of the register."""
    lo, hi = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def join(start, products):
        total = start
        for one in products:
            total = max(lo, min(hi, total + one))
        return total
    return join


def matmul(x, w, bias, zx, zw, joined=exactly):
    return [[joined(b, [(p - zx) * (q - z) for p, q in zip(row, weights, strict=True)])
             for weights, b, z in zip(w, bias, zw, strict=True)] for row in x]


def conv2d(x, w, bias, zx, zw, stride, padding, dilation, groups, joined=exactly):
    """x (n h w c), w (m kh kw d): every window is looked up place by place."""
    kh, kw, d = len(w[0]), len(w[0][0]), len(w[0][0][0])
    top, left, bottom, right = padding
    h, width, each = len(x[0]), len(x[0][0]), len(w) // groups
    oh = 1 + (h + top + bottom - (dilation[0] * (kh - 1) + 1)) // stride[0]
    ow = 1 + (width + left + right - (dilation[1] * (kw - 1) + 1)) // stride[1]

    def code(image, y, at, c):
        return image[y][at][c] if 0 <= y < h and 0 <= at < width else zx

    def element(image, y, at, m):
        products = []
        for i, j, c in product(range(kh), range(kw), range(d)):
            p = code(image, y * stride[0] + i * dilation[0] - top, at * stride[1] + j * dilation[1] - left,
                     m // each * d + c)
            products.append((p - zx) * (w[m][i][j][c] - zw[m]))
        return joined(bias[m], products)

    return [[[[element(image, y, at, m) for m in range(len(w))] for at in range(ow)] for y in range(oh)] for image in x]


def mean(q, zq):
    return [[sum(row[c] - zq for row in image) for c in range(len(image[0]))] for image in q]


def argmax(q):
    return [row.index(max(row)) for row in q]


# One image as {place: code}: a move renames places.

def places(shape):
    return list(product(*map(range, shape)))


def moved(image, shape, move, zero):
    """(image, shape) after one move of refq/ops/arrange.py; concat is `concatenated`."""
    kind, *rest = move
    if kind == "reshape":
        return dict(zip(places(rest[0]), [image[p] for p in places(shape)], strict=True)), rest[0]
    if kind == "transpose":
        return {tuple(p[a] for a in rest[0]): v for p, v in image.items()}, tuple(shape[a] for a in rest[0])
    if kind == "pad":
        wide = tuple(b + s + a for s, (b, a) in zip(shape, rest[0], strict=True))
        inside = {tuple(i + b for i, (b, _) in zip(p, rest[0], strict=True)): v for p, v in image.items()}
        return {p: inside.get(p, zero) for p in places(wide)}, wide
    axis = rest[0]
    if kind == "repeat":
        rest[1] = [i for i in range(shape[axis]) for _ in range(rest[1])]
    kept = list(range(*rest[1:])) if kind == "slice" else list(rest[1])
    short = (*shape[:axis], len(kept), *shape[axis + 1:])
    return {p: image[(*p[:axis], kept[p[axis]], *p[axis + 1:])] for p in places(short)}, short


def concatenated(images, shapes, axis):
    whole, first = {}, 0
    for image, shape in zip(images, shapes, strict=True):
        whole |= {(*p[:axis], p[axis] + first, *p[axis + 1:]): v for p, v in image.items()}
        first += shape[axis]
    return whole, (*shapes[0][:axis], first, *shapes[0][axis + 1:])
