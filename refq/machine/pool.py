"""The inside of pools: where their windows lie, which places of a window are in the image, and sums and maxima over them."""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import spans
from refq.ints.accumulate import keeper, summed, summing, within
from refq.ints.jit import jit
from refq.ints.spans import factor
from refq.ints.width import I32
from refq.machine.window import places

FIELDS = (("kernel", 2, 1), ("stride", 2, 1), ("padding", 4, 0), ("dilation", 2, 1), ("beyond", 2, 0))
"""Fields of a geometry: how many numbers each has, and the least of them."""


def admit_pool(row, where):
    """Freeze and check the geometry of a row: kernel, stride, padding (top, left, bottom, right), dilation, and where it has
    it `beyond` (bottom, right): places behind the padding that windows reach and that never count."""
    for name, length, least in FIELDS:
        if hasattr(row, name):
            object.__setattr__(row, name, value := tuple(getattr(row, name)))
            if len(value) != length or min(value) < least:
                raise IllFormed(f"{where}: {name} is {value}; it must be {length} numbers of at least {least}")


def lines(row, axis, size):
    """(oh, kernel): the places along one axis (0: vertical) that each window reads; below 0 and from `size` on is no image."""
    more = getattr(row, "beyond", (0, 0))[axis]
    count = places(size + row.padding[axis] + row.padding[axis + 2] + more, row.kernel[axis], row.stride[axis],
                   row.dilation[axis])
    starts = np.arange(max(count, 0)) * row.stride[axis] - row.padding[axis]
    return starts[:, None] + np.arange(row.kernel[axis]) * row.dilation[axis]


def pooled(row, found, where):
    """The axes oh and ow of the result; raises IllFormed where no window fits, or where one sees nothing of the image."""
    made = {}
    for axis, (name, size) in enumerate((("oh", found["h"]), ("ow", found["w"]))):
        read = lines(row, axis, size)
        if not len(read) or not ((read >= 0) & (read < size)).any(1).all():
            raise IllFormed(f"{where}: a {row.kernel[0]} x {row.kernel[1]} window, stride {row.stride}, dilation {row.dilation}, "
                            f"padding {row.padding}, does not fit into an image of {found['h']} x {found['w']}, or sees only "
                            "padding somewhere")
        made[name] = len(read)
    return made


def one_for_each(row, found, where):
    """`pooled` for an operation that takes a constant for each count of places, an axis p."""
    size = row.kernel[0] * row.kernel[1]
    if size > 1 << 14:
        raise IllFormed(f"{where}: a window of {size} places; up to 16384 are summed in 32 bits")
    if found.get("p", size) != size:
        raise IllFormed(f"{where}: {found['p']} constants for a window of {size} places; it takes one for each count")
    return pooled(row, found, where)


def seen(row, x):
    """[(i, j, codes, inside)] of spec: for each place of the window the codes (n oh ow c) that it reads, 0 outside the image,
    and where it is inside (oh ow)."""
    ys, xs = lines(row, 0, x.shape[1]), lines(row, 1, x.shape[2])
    for i, j in np.ndindex(*row.kernel):
        y, at = ys[:, i], xs[:, j]
        inside = ((y >= 0) & (y < x.shape[1]))[:, None] & ((at >= 0) & (at < x.shape[2]))
        codes = x[:, np.clip(y, 0, x.shape[1] - 1)][:, :, np.clip(at, 0, x.shape[2] - 1)]
        yield i, j, codes, inside


def window_totals(at, row, q, taken):
    """(sums, counts) of spec: (n oh ow c) what the places of each window in the image add up to, each less `taken`, in a register
    of 32 bits, exactly or as the row joins them (a place outside the image is one of 0); (oh ow) how many there are."""
    valid, total, terms = np.int64(0), np.int64(0), []
    for _i, _j, codes, inside in seen(row, q):
        term, valid = np.where(inside[..., None], codes - taken, 0), valid + inside
        if row.accumulate is None:
            total = at("partial", total + term, I32)
        terms.append(term)
    if row.accumulate is not None:
        joined = summed(np.stack(terms, axis=1), row.accumulate, at, "sum")[:, 0]
        total = within(at, "sum_held", joined, I32, row.accumulate)
    return at("acc", total, I32), valid


def registers(row, ends, sizes, constants):
    """What the sum of a window reaches (refq.ints.spans); `zin` is taken off every code where the row says so."""
    name, taken = "acc" if row.accumulate is None else "sum", row.zero_point == "taken"
    codes = factor(ends["q"], int(constants["zin"]) if taken else 0)
    return spans.summed(row.accumulate, name, I32, row.kernel[0] * row.kernel[1], codes)


def padded_places(row, h, w):
    """(oh ow): how many places of each window lie in the image or its padding."""
    ys, xs = lines(row, 0, h), lines(row, 1, w)
    return (ys < h + row.padding[2]).sum(1)[:, None] * (xs < w + row.padding[3]).sum(1)


@jit(nogil=True)
def window_sums(image, y, x, kh, kw, dy, dx, total):
    """total[c] = the sum of the codes of image (h w c) in the window at y, x; how many places of it are in the image."""
    total[:] = 0
    count = 0
    for i in range(kh):
        b = y + i * dy
        if 0 <= b < image.shape[0]:
            for j in range(kw):
                a = x + j * dx
                if 0 <= a < image.shape[1]:
                    count += 1
                    place = image[b, a]
                    for c in range(total.shape[0]):
                        total[c] += np.int64(place[c])
    return count


@cache
def joined_sums(rule):
    """`window_sums` of codes less a zero point, joined as `rule` says, in a register of 32 bits at last: another argument `zero`
    behind the others. None: exactly; then nothing is taken off."""
    if rule is None:
        @jit(nogil=True)
        def exact(image, y, x, kh, kw, dy, dx, total, zero):
            return window_sums(image, y, x, kh, kw, dy, dx, total)
        return exact
    sum_of, held = summing(rule), keeper(I32, rule)

    @jit(nogil=True)
    def ruled(image, y, x, kh, kw, dy, dx, total, zero):
        terms, count = np.empty(kh * kw, np.int64), 0
        for c in range(total.shape[0]):
            count = 0
            for i in range(kh):
                for j in range(kw):
                    b, a = y + i * dy, x + j * dx
                    inside = 0 <= b < image.shape[0] and 0 <= a < image.shape[1]
                    terms[i * kw + j] = np.int64(image[b, a, c]) - zero if inside else 0
                    count += inside
            total[c] = held(sum_of(terms))
        return count
    return ruled


@jit(nogil=True)
def inside_padding(y, x, kh, kw, dy, dx, bottom, right):
    """How many places of the window at y, x lie before `bottom` and `right`, the ends of the padded image."""
    rows, columns = 0, 0
    for i in range(kh):
        rows += y + i * dy < bottom
    for j in range(kw):
        columns += x + j * dx < right
    return rows * columns


def window_of(x, row, index):
    """(image, geometry): what one element of a pool is made of: its window of x (n h w c), and the fields of a row for it."""
    n, oy, ox, c = index
    cut, padding, beyond = [], [0] * 4, [0, 0]
    for axis, at in enumerate((oy, ox)):
        size = x.shape[1 + axis]
        read = lines(row, axis, size)[at]
        over = max(0, int(read[-1]) + 1 - size)
        padding[axis], padding[axis + 2] = max(0, -int(read[0])), min(over, row.padding[axis + 2])
        beyond[axis] = over - padding[axis + 2]
        cut.append(slice(max(0, int(read[0])), min(size, int(read[-1]) + 1)))
    part = np.ascontiguousarray(x[n:n + 1, cut[0], cut[1], c:c + 1])
    return part, {"stride": (1, 1), "padding": tuple(padding)} | ({"beyond": tuple(beyond)} if hasattr(row, "beyond") else {})
