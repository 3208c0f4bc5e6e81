"""events: what left the registers while a pack was recorded: how many values, where the first, and the furthest."""
from refq.view.show import table

KINDS = (("overflows", "overflows"), ("wraps", "wraps"), ("saturations", "saturates"))
MOST = 12
"""So many sites are named in text; the manifest has all."""


def left(events, outputs=True):
    """(event, kind, how many) of the sites of a manifest whose register was left, overflows before wraps before saturations, most
    often first; without `outputs` what clips to a result (the sites y and p) is left out, which is usual."""
    found = [(e, says, e[kind]) for kind, says in KINDS for e in events if e[kind] and "left" in e]
    kept = [f for f in found if outputs or f[0]["site"] not in ("y", "p")]
    order = [says for _, says in KINDS]
    return sorted(kept, key=lambda f: (order.index(f[1]), -f[2]))


def text(events):
    """A table of them, or a line that says that there are none."""
    found = left(events)
    ties = sum(e["ties"] for e in events)
    if not found:
        return f"events: {ties:,} ties; no register was left"
    rows = [[e["step"], e["site"], e["left"]["width"], f"{says} {count:,} times", place(e["left"]), number(e["left"]["worst"])]
            for e, says, count in found[:MOST]]
    lines = [f"events: {ties:,} ties; {len(found)} sites were left",
             table(["step", "site", "has", "what", "first", "furthest"], rows)]
    return "\n".join(lines + ([f"... and {len(found) - MOST} more (the manifest has all)"] if len(found) > MOST else []))


def lines(events):
    """Of registers inside operations, a few lines for a summary."""
    return [f"left its register {e['step']}, {e['site']} of {e['left']['width']}: {says} {count:,} times, first in "
            f"{place(e['left'])}, furthest {number(e['left']['worst'])}" for e, says, count in left(events, outputs=False)[:3]]


def place(found):
    return f"case {found['case']}, element {', '.join(map(str, found['index']))}"


def number(worst):
    return worst if isinstance(worst, str) else f"{worst:,}"
