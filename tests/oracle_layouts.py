"""Layouts of small codes, bit by bit on Python integers: the published loops written again, with no code of refq."""


def bits_to_bytes(bits):
    """Bytes of a list of bits, the first in the lowest place."""
    bits = bits + [0] * (-len(bits) % 8)
    return [sum(bit << i for i, bit in enumerate(bits[at:at + 8])) for at in range(0, len(bits), 8)]


def stream(codes, width):
    """Codes one behind the other from bit 0 up."""
    return [code >> b & 1 for code in codes for b in range(width)]


def filled(codes, count, code=0):
    return [*codes, *[code] * (-len(codes) % count)]


def kept(code, width, stored):
    if stored == "top_bit_flipped":
        return (code % 2 ** width) ^ 2 ** (width - 1)
    return (code - 1 if stored.startswith("minus_one") else code) % 2 ** width


def line(codes, width, order, stored, block, unit):
    """The bytes of one line of codes."""
    made = []
    fields = [kept(c, width, stored) for c in codes]
    for at in range(0, len(fields), block):
        part = filled(fields[at:at + block], block)
        if order == "high_first":
            part = part[::-1]
        if order == "interleaved":
            part = part[0::2] + part[1::2]
        if order == "halves":
            size = block * width // 8
            part = [part[j + size * p] for j in range(size) for p in range(8 // width)]
        raw = bits_to_bytes(stream(part, width))
        made += raw + [0] * (unit - len(raw))
    return made


def gptq3(codes):
    """32 codes of 3 bits in three words, as the loop of AutoGPTQ's pack places them."""
    words = [0, 0, 0]
    for j in range(10):
        words[0] |= codes[j] << 3 * j
    words[0] |= (codes[10] & 3) << 30
    words[1] |= codes[10] >> 2
    for j in range(10):
        words[1] |= codes[11 + j] << 3 * j + 1
    words[1] |= (codes[21] & 1) << 31
    words[2] |= codes[21] >> 1
    for j in range(10):
        words[2] |= codes[22 + j] << 3 * j + 2
    return words


def awq(codes):
    """A word of eight output channels."""
    return sum(codes[channel] << 4 * i for i, channel in enumerate((0, 2, 4, 6, 1, 3, 5, 7)))


def qc4w(codes, kr):
    """One channel of XNNPACK's planes, codes of zero point 8."""
    codes = filled(codes, 2 * kr, 8)
    return [(codes[at + t] | codes[at + t + kr] << 4) ^ 0x88 for at in range(0, len(codes), 2 * kr) for t in range(kr)]


def q4_0(codes):
    return [codes[at + j] | codes[at + j + 16] << 4 for at in range(0, len(codes), 32) for j in range(16)]
