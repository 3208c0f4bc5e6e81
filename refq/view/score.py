"""score: the mutation score of vectors, as a person reads it."""
MOST = 12
"""So many survivors of a group are named in text; JSON names all."""
REGIONS = 3
"""So many regions of one of them, with the last for the others."""


def drawn(r):
    """The report of `refq vectors`."""
    s = r["mutation_score"]
    e = r["events"]
    return "\n".join([
        r["chain"] + ("" if ":" in r["chain"] else f" under dialect {r['dialect']}"),
        f"configurations    {len(r['configurations'])}",
        f"bytes             {r['bytes']:,} of codes (budget {r['budget']:,})",
        f"seen              {e['ties']:,} ties, {e['saturations']:,} saturations, {e['wraps']:,} wraps",
        *r["left_registers"], *counts(s), *named(s), f"pack hash         {r['pack_hash']}", f"written to        {r['pack']}"])


def scored(r):
    """The report of `refq score`."""
    lines = [f"{r['vectors']} ({r['cases']} cases), relative to {r['relative_to']}", *counts(r)]
    return "\n".join(lines + named(r))


def counts(s):
    bugs = s["bugs"]
    return [f"mutants           {bugs['mutants']:,}; {bugs['killed']:,} killed, {bugs['equivalent']:,} proved equivalent, "
            f"{bugs['survivors']:,} unseen",
            f"in regions        {s['mutants']:,}; {s['killed']:,} killed, {s['equivalent']:,} proved equivalent, "
            f"{s['survivors']:,} unseen"]


def named(s):
    """What would pass unseen, group by group."""
    lines = []
    for group in s["groups"]:
        names = group["survivors_by_name"]
        if names:
            lines += [f"unseen in {group['name']}", *(f"  {shortened(name)}" for name in names[:MOST])]
            lines += [f"  ... and {len(names) - MOST} more (--json names all)"] if len(names) > MOST else []
    return lines


def shortened(name):
    """A mutant's name with the first of its regions."""
    regions = name.split(" or ")
    kept = " or ".join(regions[:REGIONS - 1])
    return name if len(regions) <= REGIONS else f"{kept} or {len(regions) - REGIONS + 1} more regions"
