"""The registers of a program as text: the tightest first."""
from refq.view.show import table

TIGHTEST = 10


def text(found):
    """The ten registers with the fewest bits to spare, and where one is too narrow."""
    rows = [[e.step, e.register, f"{e.lo:,}", f"{e.hi:,}", str(e.bits), str(e.width), e.source,
             ", ".join(e.fails) or "none"]
            for e in sorted(found, key=lambda e: e.width.bits - e.bits)[:TIGHTEST]]
    lines = [table(["step", "register", "least", "most", "needs", "has", "activations", "too narrow in"], rows)]
    if len(found) > TIGHTEST:
        lines.append(f"... and {len(found) - TIGHTEST} more (--json lists all)")
    said = dict.fromkeys(f"{name}: step {e.step}: {why}" for e in found for name, why in e.fails.items())
    lines += list(said)[:TIGHTEST]
    widest = max(found, key=lambda e: e.bits, default=None)
    if widest is None:
        return "no step of this program sums"
    return "\n".join([*lines, f"{len(found)} registers, at most {widest.bits} bits needed ({widest.step})"])
