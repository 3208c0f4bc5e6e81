"""The differences of two dialects as text: a table of what differs, then a witness for each role and field."""
from refq.view.show import table


def text(a, b, found):
    if not found:
        return f"{a.name} and {b.name} do not differ: same grids, same operation and row for every role"
    rows = [[d.role or "dialect", d.field, d.left, d.right, "" if d.share is None else share(d.share)] for d in found]
    lines = [table(["role", "field", a.name, b.name, "differs on random data"], rows)]
    shown = [f"{d.role} {d.field}: {d.witness}" for d in found if d.witness]
    return "\n".join(lines + ([f"\nshows on (first {a.name}, then {b.name} or {a.name} with that field changed)", *shown]
                              if shown else []))


def share(value):
    return "0 of 50,000" if value == 0 else f"{100 * value:.2f} %"
