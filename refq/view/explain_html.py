"""An Explanation as one page: self-contained, without scripts, light, printable; numbers line up as one would write them."""
import os
from html import escape
from pathlib import Path
from string import Template
from uuid import uuid4

from refq.errors import RefqError
from refq.view.explain_lines import lines, verdict, word

PLACES = ("", "k", "r", "i", "j", "d")      # heads of the columns, in front, that say where
LONG, ENDS = 40, 4              # a table of more lines is folded; so many of its first and last stay in sight


def write(explanation, path):
    """Write the page to a file, whole or not at all; raises RefqError where it cannot be written."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        part.write_text(page(explanation), encoding="utf-8")
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise RefqError(f"{path}: the page was not written: {e.strerror or e}; choose another place") from None


def page(explanation):
    """The page as text."""
    e, last = explanation, explanation.parts[-1]
    way = "<i>&rarr;</i>".join(f'<a href="#p{i}">{escape(p.op)} <b>{number(p.value)}</b></a>' for i, p in enumerate(e.parts))
    return PAGE.substitute(
        name=escape(last.tensor), index=escape(str(list(last.index))), value=number(last.value), width=escape(last.width),
        pack=escape(Path(e.pack).name), hash=e.hash[:16], dialect=escape(e.dialect), case=e.case, way=way,
        notes="".join(f"<p class=note>{escape(n)}</p>" for n in e.notes), verdict=escape(verdict(e)),
        right="right" if e.agrees else "wrong", parts="\n".join(section(i, p) for i, p in enumerate(e.parts)))


def section(i, part):
    """One step."""
    told = (("products", part.sum), ("elements of the row", part.registers))
    tables = "".join(numbers(kind, table) for kind, table in told if table)
    return (f'<section id=p{i}><h2>{escape(part.step)} <small>{escape(part.op)}</small></h2><pre>{escape(part.formula)}</pre>'
            f'{operands(part)}{tables}{calculation(part)}</section>')


def operands(part):
    rows = ""
    for t in part.takes:
        value = number(t["value"]) if t["count"] == 1 else f"{t['count']} codes"
        place = "" if t["index"] is None else escape(str(t["index"]))
        rows += (f"<tr><th>{escape(t['operand'])}<td>{escape(t['tensor'])}<span>{place}</span><td>{t['width']}"
                 f"<td class=n>{value}")
    return f"<table class=takes>{rows}</table>"


def numbers(kind, told):
    """A table of integers; a long one is folded behind its ends."""
    rows, marks = told["rows"], told["marks"]
    head = "".join(f"<th>{escape(h)}" for h in told["head"]) + "<th>"
    body = [row_of(row, marks.get(i, ""), told) for i, row in enumerate(rows)]
    if len(body) <= LONG:
        return f"<table class=sum><tr>{head}{''.join(body)}</table>"
    hits = [line for line in body[ENDS:-ENDS] if line.startswith(("<tr class=hit>", "<tr class=this>"))][:LONG]
    gap = (f"<tr class=gap><td colspan={len(told['head']) + 1}>&#8942; {len(body) - 2 * ENDS} lines between"
           f"{', among them' if hits else ''}{''.join(hits)}")
    short = f"<table class=sum><tr>{head}{''.join(body[:ENDS])}{gap}{''.join(body[-ENDS:])}</table>"
    return (f"{short}<details><summary>all {len(body)} lines: {kind}</summary>"
            f"<table class=sum><tr>{head}{''.join(body)}</table></details>")


def row_of(row, mark, told):
    head, digits = told["head"], told.get("hex", {})
    idle = "product" in head and row[head.index("product")] == 0
    kind = " class=this" if mark == "this one" else " class=hit" if "at i" in mark else " class=idle" if idle else ""
    places = next((i for i, h in enumerate(head) if h not in PLACES), 0)
    cells = "".join(f"<td class={'k' if i < places else 'n'}>{word(n, digits[h]) if h in digits else number(n)}"
                    for i, (h, n) in enumerate(zip(head, row)))
    return f"<tr{kind}>{cells}<td class=why>{escape(mark)}"


def calculation(part):
    rows = []
    for line in lines(part):
        bits = f"<code><b>{line.discarded[0]}</b>{line.discarded[1:]}</code>" if line.discarded else ""
        marks = "".join(f"<em class={m.lower()}>{m.lower()}</em>" for m in line.marks)
        kind = "" if line.width else " class=given"
        rows.append(f"<tr{kind}><td class=sign>{escape(SIGNS.get(line.sign, line.sign))}<th>{escape(line.name)}"
                    f"<td class=n>{number(line.value)}<td>{line.width}<td class=why>{bits}{marks}{escape(line.why)}")
    return f"<table class=hand>{''.join(rows)}</table>"


def number(n):
    """A number with a real minus sign, so that it is as wide as a plus."""
    return "" if n is None else str(n).replace("-", "&minus;")


SIGNS = {"x": "×", "-": "−"}

PAGE = Template("""<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>$name$index = $value</title>
<style>
:root{--ink:#1c2733;--soft:#66727f;--line:#dfe4ea;--tint:#f5f7fa;--blue:#1f5fa8;--tie:#8a5a00;--bad:#b3261e;--good:#1d7a3e}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2.5rem 2rem 4rem;font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif;
 color:var(--ink);
 background:#fff}
h1{font-size:1.35rem;font-weight:600;margin:0;overflow-wrap:anywhere}
h1 span,td span{color:var(--soft);font-weight:400;padding-left:.15em}
.value{font:600 2.6rem/1.2 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;margin:.2rem 0 .4rem}
.value small{font-size:1rem;color:var(--soft);font-weight:400;margin-left:.5rem}
.about,.note{color:var(--soft);margin:0;font-size:.87rem}
.way{margin:1rem 0 0;display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}
.way a{color:inherit;text-decoration:none;background:var(--tint);border:1px solid var(--line);border-radius:1rem;
 padding:.1rem .8rem}
.way b,.n,.k,code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;font-variant-numeric:tabular-nums}
.way i{color:var(--soft);font-style:normal}
.verdict{display:inline-block;margin:1rem 0 0;padding:.15rem .7rem;border-radius:.3rem;font-size:.87rem}
.right{color:var(--good);background:#eaf6ee}.wrong{color:#fff;background:var(--bad);font-weight:600}
section{margin-top:2.5rem;border-top:2px solid var(--ink);padding-top:.8rem}
h2{font-size:1.1rem;margin:0;overflow-wrap:anywhere}h2 small{font-weight:400;color:var(--soft);margin-left:.6rem}
pre{margin:.4rem 0 1rem;padding:.55rem .8rem;background:var(--tint);border-left:3px solid var(--blue);white-space:pre-wrap;
 font:.85rem/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
table{border-collapse:collapse;margin:0 0 1.2rem}
td,th{padding:.1rem .7rem;text-align:left;vertical-align:baseline;font-weight:400}
.n,.k{text-align:right;white-space:nowrap}.k{color:var(--soft)}
.takes{font-size:.87rem}.takes th{color:var(--blue);padding-left:0}.takes td:nth-child(3){color:var(--soft)}
.sum th{text-align:right;font-size:.8rem;color:var(--soft);border-bottom:1px solid var(--ink);white-space:nowrap}
.sum{font-size:.87rem}.sum tr:nth-child(4n+1) td{border-bottom:1px solid var(--line)}
.sum td:nth-last-child(2){background:var(--tint);font-weight:600}
.idle td{color:#a9b1ba}.this td{background:#e8f0fb!important;font-weight:600}.hit td{background:#fdeceb!important}
.gap td{color:var(--soft);text-align:center;font-size:.8rem}
.why{color:var(--soft);font-size:.82rem}
.hand .n{font-size:1.05rem;padding-left:1.5rem}.hand th{font-style:italic}.hand .sign{text-align:right;color:var(--soft);
 white-space:nowrap}
.hand tr:not(.given) .n{font-weight:600}.hand .given+tr:not(.given) .n{border-top:1px solid var(--ink)}
.hand .given .n{font-weight:400}.hand td:nth-child(4){color:var(--soft);font-size:.82rem}
code{font-size:.8rem;background:var(--tint);border-left:2px solid var(--bad);padding:.05rem .3rem;margin-right:.5rem;
 color:var(--soft)}
code b{color:var(--bad)}
em{font-style:normal;font-size:.72rem;font-weight:600;letter-spacing:.03em;text-transform:uppercase;border-radius:.25rem;
 padding:.05rem .4rem;margin-right:.5rem;color:#fff;background:var(--bad)}
em.tie{background:#f3c04b;color:#3d2900}
details{margin:-.6rem 0 1.2rem}summary{cursor:pointer;color:var(--blue);font-size:.87rem;margin-bottom:.6rem}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.7rem;color:var(--soft);font-size:.8rem}
@media print{body{padding:0;max-width:none;font-size:10.5pt}section{break-inside:auto}tr{break-inside:avoid}
 *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
</style>
<h1>$name<span>$index</span></h1>
<div class=value>$value<small>$width</small></div>
<p class=about>case $case of pack $pack, hash $hash, dialect $dialect</p>$notes
<div class=way>$way</div>
<div class="verdict $right">$verdict</div>
$parts
<footer>Right of a rounding: the bits it discards, the half bit first. TIE: exactly half. SATURATES: clipped to the range.
 WRAPS: the high
bits are lost. Every number is an integer unless it has a point. Made by refq explain.</footer>
</html>
""")
