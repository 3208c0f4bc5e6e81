"""A Part as one would reckon it by hand: one number a line, what is done to it before it, what happened behind it; and the
text that a terminal shows of an Explanation."""
from dataclasses import dataclass

from refq.view.explain_words import WORDS

SIGNS = {"register": "=", "clip": "clip", "wrap": "wrap", "nearest": "round"}
MARKS = {"tie": "TIE", "saturated": "SATURATES", "wrapped": "WRAPS", "overflow": "OVERFLOWS"}


@dataclass(frozen=True)
class Line:
    """`sign`: what is done; `name`: of the operand or the site; `value`; `width` of a site; `why`; `kept`, `discarded`: the
    binary digits on both sides of a rounding's cut; `marks`: words of MARKS."""

    sign: str
    name: str
    value: object
    width: str = ""
    why: str = ""
    discarded: str = ""
    marks: tuple = ()


def lines(part):
    """The Lines of a Part, in order."""
    known = {t["operand"]: t["value"] for t in part.takes if t["count"] == 1}
    given = START.get(part.op, nothing)(part, known)
    last = given[-1].value if given else None
    for m in part.moments:
        before = BEFORE.get((part.op, m["site"]), nothing)(part, known)
        given += before
        if m["before"] not in (last, m["after"]) and not before:
            given.append(Line("", "", m["before"]))
        sign = f">> {m['by']}" if m["kind"] == "shift" else f"/ {m['by']}" if m["kind"] == "divide" else SIGNS[m["kind"]]
        marks = tuple(word for key, word in MARKS.items() if m[key])
        given.append(Line(sign, m["site"], m["after"], m["width"], m["why"], m["discarded"] or "", marks))
        last = m["after"]
    if not part.moments or part.value != last:
        given.append(Line("=", part.tensor, part.value, part.width, f"moved here from {part.origin}" if part.origin else ""))
    return given


def nothing(part, known):
    return []


def begun(part, known):
    """A rescale starts from its register."""
    return [Line("", "acc", known["acc"]), *([Line("-", "zin", known["zin"])] if known["zin"] else [])]


def multiplied(part, known):
    inside = part.row["zero_point"] == "inside" and known["zp"]
    raised = [Line("+", f"zp << {known['shift']}", known["zp"] << known["shift"])] if inside else []
    return [Line("x", "mult", known["mult"]), *raised]


def lifted(part, known):
    return [Line(f"<< {max(31 - known['shift'], 0)}", "", (known["acc"] - known["zin"]) << max(31 - known["shift"], 0))] \
        if known["shift"] < 31 else []


def scaled(part, known):
    return [Line("x", "scale", known["scale"])]


def joined(part, known):
    """The zero point that joins after the rounding, and the sum where the clip changes it."""
    if part.row["zero_point"] == "inside":
        return []
    m = part.moments[-1]
    return [Line("+", "zp", known["zp"]), *([Line("", "", m["before"])] if m["saturated"] else [])]


def behind_words(part, known):
    """Which of the sums that come out of packed words is the element's, and what joins it."""
    values = {m["site"]: m["after"] for m in part.moments}
    return [Line("", name, values[name]) if sign == "this" else Line(sign, name, value) for sign, name, value in part.sum["then"]]


START = {"rescale": begun, "rescale_float32": begun}
BEFORE = {("rescale", "wide"): multiplied, ("rescale", "lifted"): lifted, ("rescale", "y"): joined,
          ("rescale_float32", "product"): scaled, ("rescale_float32", "y"): joined} | \
    {(op, "acc"): behind_words for op in WORDS}


def text(explanation):
    """An Explanation as lines for a terminal."""
    e, last = explanation, explanation.parts[-1]
    said = [f"{last.tensor}{list(last.index)} of case {e.case} is {last.value}",
            f"pack {e.pack}, hash {e.hash[:16]}, dialect {e.dialect}", *e.notes]
    for part in e.parts:
        said += ["", *block(part)]
    return "\n".join(said + ["", verdict(explanation)])


def verdict(explanation):
    wrong = [part for part in explanation.parts if part.value != part.recorded]
    if not wrong:
        return "the pack holds the same"
    return "; ".join(f"THE PACK HOLDS {p.recorded} at {p.tensor}{list(p.index)}, not {p.value}" for p in wrong)


def block(part):
    """One Part: head, operands, its sum or its row, and the calculation."""
    yield f"{part.step}   {part.op}"
    yield from (f"    {line}" for line in part.formula.splitlines())
    yield ""
    yield from (f"  {line}" for line in columns([operand(t) for t in part.takes], "<<>>"))
    for numbers in (part.sum, part.registers):
        if numbers:
            marks = numbers["marks"]
            rows = [[*cells(numbers, row), marks.get(i, "")] for i, row in enumerate(numbers["rows"])]
            yield ""
            yield from (f"  {line}" for line in columns([[*numbers["head"], ""], *rows], ">" * len(numbers["head"]) + "<"))
    yield ""
    rows = []
    for line in lines(part):
        cut = f"|{line.discarded}| " if line.discarded else ""
        marks = "".join(f"{mark}  " for mark in line.marks)
        rows.append([line.sign, line.name, str(line.value), line.width, f"{cut}{marks}{line.why}"])
    yield from (f"  {line}" for line in columns(rows, "><><<"))


def cells(numbers, row):
    """A line of a table as texts; words of several codes in hexadecimal digits."""
    digits = numbers.get("hex", {})
    yield from ("" if n is None else word(n, digits[head]) if head in digits else str(n) for head, n in zip(numbers["head"], row))


def word(n, digits):
    """A word of several codes as hexadecimal digits, a negative one as its register holds it."""
    return f"{n & (1 << 4 * digits) - 1:0{digits}x}"


def operand(t):
    """An operand as cells: its name, its tensor and place, its width, its value or number of values."""
    place = t["index"] if t["index"] is not None else ""
    return [t["operand"], f"{t['tensor']}{place}", t["width"], str(t["value"]) if t["count"] == 1 else f"{t['count']} codes"]


def columns(rows, sides):
    """Rows of texts in columns, each on its side."""
    widths = [max(map(len, column)) for column in zip(*rows)] if rows else []
    for row in rows:
        yield "  ".join(f"{cell:{side}{width}}" if width else cell for cell, side, width in zip(row, sides, widths)).rstrip()
