"""What is no bug in operations on blocks that share a scale: rows are whole blocks, and some fields mean the same there."""
import re

from refq.ints import blocks, minifloat

OPS = ("block_scales", "quantize_blocks", "dequantize_blocks", "dequantize_minifloat")
TAILS = re.compile(r"slip (?:(?:row_)?(?:tail_lost|tile_leaks)\(c|(?:channels_lost|pitch_\w+)\([xqy]), (\d+)\)")


def nothing(op, row, name):
    """Why the mutant of that name changes nothing under a row of `op`, as a sentence, or None."""
    if op == "dequantize_minifloat":
        f = minifloat.load(row.format)
        if f.kind == "fnuz" and name == "slip sign_of_zero_lost":
            least = f.least - f.mantissa - 126
            return f"the format has no -0, and the smallest product, 2**{least}, is no 0 in float32" if least >= -149 else None
        alone = f.nan is None and name == "slip topmost_read_as_numbers"
        return "every pattern of the format is a number" if alone else None
    found = TAILS.fullmatch(name)
    if found and row.shared % int(found[1]) == 0:
        return f"rows are whole blocks of {row.shared}: their length is a multiple of {found[1]}"
    if op == "quantize_blocks" and name.startswith("slip row_tile_leaks(c,"):
        return "what lies behind a row makes blocks of its own, and blocks do not see each other"
    field, _, value = name.partition("=")
    if op == "dequantize_blocks" and field == "rule" and {row.rule, value} <= set(blocks.POWERS):
        return "the scale is an e8m0 number, whichever rule has chosen it"
    if op == "block_scales" and field == "element" and row.rule in ("floor", "ceil") and blocks.TOP.get(value) == \
            blocks.TOP.get(row.element):
        return "the largest elements of both formats have the same exponent, and this rule looks at nothing else"
    if op == "quantize_blocks" and row.element == "int4" and name == "ties=floor":
        return "x / scale is at least -8, so that what is cut is not negative"
    if op == "quantize_blocks" and row.element == "int4" and name == "site steps: rounds floor":
        return "x / scale is at least -8, so that what is cut is not negative"
    if op == "quantize_blocks" and row.element in ("int4", "int8") and field == "zero":
        return "a whole number has one 0"
    if op == "quantize_blocks" and row.element == "int8" and name == "site steps: saturates at i8":
        return "it is clipped to -127..127 all the same"
    return None
