"""flow: texts and tables for a terminal that is narrower than they were written."""
import re
from textwrap import wrap

WRITTEN = 100
"""A line of a contract that is at least so long with the first word of the next one goes on there."""
LABEL = re.compile(r"\s*\S+(?: \S+)?\s{2,}(?=\S)")


def text(lines, width):
    """A contract in lines of at most `width` characters; None: as it is. Labels in front (R1, source) stay in front."""
    if width is None or all(len(line) <= width for line in lines.splitlines()):
        return lines
    joined, ends = [], []
    for line in lines.splitlines():
        indent = len(line) - len(line.lstrip())
        last = joined[-1] if joined else ""
        prose = indent == hanging(last) and (bool(LABEL.match(last)) if indent else not LABEL.match(line))
        goes_on = last and line.strip() and prose and len(ends[-1]) + 1 + len(line.split()[0]) > WRITTEN
        if goes_on:
            joined[-1], ends[-1] = f"{last} {line.strip()}", line
        else:
            joined.append(line)
            ends.append(line)
    return "\n".join("\n".join(folded(line, width)) for line in joined)


def hanging(line):
    """Where what a line says begins, behind its label."""
    label = LABEL.match(line)
    return label.end() if label and label.end() <= 12 else len(line) - len(line.lstrip())


def folded(line, width):
    start = hanging(line)
    if len(line) <= width or start > width // 2:
        return [line]
    said = wrap(line[start:], width - start, break_long_words=False, break_on_hyphens=False)
    return [line[:start] + said[0], *(" " * start + rest for rest in said[1:])]


def table(head, rows, width):
    """Rows of texts in columns (refq.view.show.table), the widest folded where they do not fit `width`; None: never."""
    from refq.view.show import table as plain
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    room, widest = (width or 0) - sum(widths) - 2 * len(widths) + 2, widths.index(max(widths))
    if width is None or room >= 0 or widths[widest] + room < 16:
        return plain(head, rows)
    made = []
    for row in rows:
        cell = wrap(row[widest], widths[widest] + room, break_on_hyphens=False) or [""]
        made += [[*(c if not i else "" for c in row[:widest]), part, *(c if not i else "" for c in row[widest + 1:])]
                 for i, part in enumerate(cell)]
    return plain(head, made)
