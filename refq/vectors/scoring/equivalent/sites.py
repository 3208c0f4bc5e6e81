"""Proofs by intervals: what is altered at a site and shows nothing, since the site never meets where it would."""
from inspect import getclosurevars

from refq.ints.width import I16, Width
from refq.vectors.scoring.equivalent.stated import ARGUMENTS, RAILS, SHIFTED, STORED, WHOLE
from refq.vectors.scoring.intervals import Interval, of

ALIKE = {1: (("floor", "trunc"), ("ceil", "away"), ("half_up", "half_away"), ("half_down", "half_zero")),
         -1: (("floor", "away"), ("ceil", "trunc"), ("half_up", "half_zero"), ("half_down", "half_away"))}
"""Roundings that are the same for all that is not negative, and for all that is not positive."""

HALVED = {1: ({"floor", "half_down", "half_zero", "trunc"}, {"ceil", "half_up", "half_away", "away"}),
          -1: ({"floor", "half_down", "half_away", "away"}, {"ceil", "half_up", "half_zero", "trunc"})}
"""Roundings that are the same for halves of these signs."""

EVEN = {"shiftmax": ("e",), "shiftgelu": ("e", "rest")}
"""Sites that halve an even number: k = n only where r = 0, and then the register is -2*x0."""


def site_idle(domain, altered):
    """An altered site that changes nothing: by its change, its method, or its word."""
    trace, result = domain.trace()
    sites = [s for s in trace if s[0] == altered.name]
    if not sites:
        return None
    said = []
    for site in sites:
        idle = alike(domain, site, altered, result)
        if not idle:
            return None
        said.append(idle)
    return said[0]


def alike(domain, site, altered, result):
    """Why one alteration shows nothing at one site."""
    if altered.word:
        return word_idle(domain, site, altered.word)
    filled = site[5].bits == 8 * site[5].dtype.itemsize and (domain.step.op, site[0]) not in WHOLE
    if altered.method == "__call__" and site[1] == "wrap" and filled:
        return f"{site[0]} lies in {site[5].bits} bits, which keep the low ones"
    if altered.method:
        return held_alike(site)
    if getattr(altered, "before", None):            # 16 bits, wrapped, in front of a clip
        return f"what enters {site[0]} stays within {site[3]}, which {I16} holds" if site[3].inside(I16) else None
    if getattr(altered, "limits", None):
        return limits_idle(site, *altered.limits)
    if getattr(altered, "instead", None):
        return instead_idle(domain.step.op, site, altered.instead)
    return change_idle(domain, site, altered.change, result) if altered.change else None


def instead_idle(op, site, instead):
    """A shift done in another way: differs where nothing is shifted, or where the top bit is set."""
    name, _, word, x, by, _, out = site
    if instead.__name__ == "unshifted":
        if (op, name) in STORED:
            return f"of {name} only low bits are stored, and 2**31 is none of them"
        return f"{name} is never shifted by 0" if by.lo > 0 else None
    if by is not None and by.hi <= 0:
        return f"{name} is shifted by 0"
    bits = getclosurevars(instead).nonlocals.get("bits", 0)
    room = 62 if bits in (0, 64) else bits - 1
    if word == "half_up" and by is not None and x.lo >= 0 and by.hi <= 62 and x.hi < 1 << room:
        return f"to add a half and shift is half up for what is not negative, and {name} meets {x}"
    if name in EVEN.get(op, ()) and 0 <= x.lo and (instead.__name__ == "nudged" or min(x.hi, 2 * out.hi + 1) < 1 << bits):
        return f"{name} halves an even number without a sign, exactly, and gives {out}"
    return None


def limits_idle(site, lo, hi):
    """Other limits of a clip, beyond what it meets."""
    name, _, _, x, _, width, _ = site
    low, high = lo == width.lo or x.lo >= max(lo, width.lo), hi == width.hi or x.hi <= min(hi, width.hi)
    return f"what enters {name} stays within {x}, where both limits let everything pass" if low and high else None


def held_alike(site):
    """To wrap, to saturate and to do nothing are one where nothing leaves the width."""
    name, _, _, x, _, width, _ = site
    return f"what enters {name} stays within {x}, which {width} holds" if x.inside(width) else None


def word_idle(domain, site, word):
    """Two roundings that do not differ on what the site meets."""
    name, method, old, x, by, width, _ = site
    if name in EVEN.get(domain.step.op, ()):
        return f"{name} halves an even number, exactly: k = n only where r = 0"
    for sign, holds in ((1, x.lo >= 0), (-1, x.hi <= 0)):
        if holds and any({old, word} == set(pair) for pair in ALIKE[sign]):
            return f"{old} and {word} are one for what is not {'negative' if sign > 0 else 'positive'}, and {name} meets {x}"
        if holds and method == "shift" and by.lo == by.hi == 1 and any({old, word} <= alike for alike in HALVED[sign]):
            return f"{old} and {word} are one for halves of one sign, and {name} meets {x}"
    if method == "shift" and by.lo == by.hi == 1 and {old, word} in ({"floor", "half_down"}, {"ceil", "half_up"},
                                                                     {"trunc", "half_zero"}, {"away", "half_away"}):
        return f"{old} and {word} are one for a shift by 1, of which all that is not exact is a tie"
    if method == "shift" and by.hi == 0:
        return f"{name} is shifted by 0"
    if behind_even(domain, name, {old, word}) and x.lo >= 0:
        return f"{old} and {word} differ by an odd number and the even one below, which the shift behind {name} rounds alike"
    if "half" in old and "half" in word and no_tie(domain, name):
        return f"{name} meets no tie: 2**(shift - 1 - trailing zeros of mult) is beyond the register in every channel"
    return None


def behind_even(domain, name, words):
    """Is what half_up and half_even round shifted by 2 bits or more, to a result that changes at even numbers only?"""
    behind = next((s for s in domain.trace()[0] if s[0] == SHIFTED.get((domain.step.op, name))), None)
    alike = words == {"half_up", "half_even"} and behind is not None and behind[1] == "shift"
    return alike and behind[4].lo >= 2 and behind[2] in ("floor", "trunc", "half_up", "half_away")


def no_tie(domain, name):
    """A tie of a rescale exists iff 2**(shift - 1 - v2(mult)) <= max |acc|; for one rounding and given constants."""
    if domain.step.op != "rescale" or domain.row.high != "none" or domain.free or name != "scaled":
        return False
    acc, most = domain.reach["acc"] - domain.reach["zin"], 0
    most = max(-acc.lo, acc.hi)
    pairs = zip(domain.constants["mult"].tolist(), domain.constants["shift"].tolist())
    return all(not m or s > 0 and 1 << max(s - 1 - ((m & -m).bit_length() - 1), 0) > most for m, s in pairs)


def change_idle(domain, site, change, result):
    """A register that is held narrower, or cut at one end."""
    name, *_, width, out = site
    narrow, kind = getattr(change, "__self__", None), getattr(change, "__name__", "")
    if not isinstance(narrow, Width):
        cut = change(out)
        return f"{name} stays within {out}" if (cut.lo, cut.hi) == (out.lo, out.hi) else None
    if out.inside(narrow):
        return f"{name} stays within {out}, which {narrow} holds"
    stored = getattr(domain.row, "store", "clip") if domain.step.op not in ARGUMENTS else "clip"
    if kind == "wrap" and stored == "wrap" and narrow.bits >= domain.row.out.bits:
        return f"of {name} only the low {domain.row.out.bits} bits are stored"
    rail = RAILS.get((domain.step.op, name))
    if rail and kind == "clip" and narrow.hi >= rail(domain.row):
        return f"what {narrow} makes of {name} beyond its ends is cut later: {rail(domain.row)} and more are one"
    if result is not None and all(drowned(domain, reach, name, narrow, kind) for reach in domain.pieces()):
        return f"what {narrow} makes of {name} beyond its ends is clipped to the same rail"
    return None


def drowned(domain, reach, name, narrow, kind):
    """Does the site that all of `name` goes through hold one number, whether it leaves `narrow` or is held to it?"""
    trace, _ = domain.traced(reach, domain.row, {})
    out = next((s[6] for s in trace if s[0] == name), None)
    if out is None:
        return False
    if out.inside(narrow):
        return True
    through = behind(domain.step.op, name)
    ends = [Interval(out.lo, min(narrow.lo, out.hi)), Interval(max(narrow.hi, out.lo), out.hi)]
    for end in [end for end in ends if end.lo < end.hi]:
        held = Interval(narrow.lo, narrow.hi) if kind == "wrap" else Interval(narrow.clip(end.lo), narrow.clip(end.hi))
        found = [domain.traced(reach, domain.row, {name: forced}) for forced in (end, held)]
        points = [next((s[6] for s in seen if s[0] == through), final) for seen, final in found]
        if any(p is None or of(p).lo != of(p).hi for p in points) or of(points[0]).lo != of(points[1]).lo:
            return False
    return True


def behind(op, name):
    """The site through which all goes that `name` is read for, where it is not the result."""
    if op in ("shiftmax", "shiftgelu"):
        return "total" if name.startswith("rest") else "sigmoid"
    return HELD.get((op, name))


HELD = {("rescale_preshift", "narrow"): "middle", ("softmax_ibert", "scaled"): "e", ("gelu_ibert", "moved"): "x"}
"""Operation and site to the clip behind it."""
