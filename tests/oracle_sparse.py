"""Sparse products with unbounded integers: weights are read from their parts one entry at a time, and summed as they come."""


def two_four(values, meta, k, bits):
    """Per row the list of (column, code)."""
    rows = []
    for own, words in zip(values.tolist(), meta.tolist()):
        line = []
        for q in range(k // 4):
            nibble = words[4 * q // bits] // 16 ** (q % (bits // 4)) % 16
            line += [(4 * q + nibble % 4, own[2 * q]), (4 * q + nibble // 4, own[2 * q + 1])]
        rows.append(line)
    return rows


def bitmap(values, bits, starts, k, size):
    rows = []
    for words, start in zip(bits.tolist(), starts.tolist()):
        line, seen = [], 0
        for c in range(k):
            if words[c // size] // 2 ** (c % size) % 2:
                line.append((c, int(values[start + seen])))
                seen += 1
        rows.append(line)
    return rows


def blocks(values, columns, starts, m, k, block, tile=0):
    high, wide = block
    down, rows = -(-m // high), [[] for _ in range(m)]
    for at in range(len(starts) - 1):
        t, i = divmod(at, down)
        for e in range(int(starts[at]), int(starts[at + 1])):
            for r in range(high):
                for c in range(wide):
                    column = t * tile + int(columns[e]) * wide + c
                    if i * high + r < m and column < k:
                        rows[i * high + r].append((column, int(values[(e * high + r) * wide + c])))
    return rows


def product(x, rows, bias, zx, zw, hold=lambda total: total):
    """[[sum]]: of every row of x and of weights; `hold` is done to every partial sum."""
    made = []
    for codes in x.tolist():
        made.append([])
        for line, start, zero in zip(rows, bias.tolist(), zw.tolist()):
            total = hold(start)
            for column, code in line:
                total = hold(total + (codes[column] - zx) * (code - zero))
            made[-1].append(total)
    return made
