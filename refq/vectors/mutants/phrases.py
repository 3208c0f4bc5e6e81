"""Phrases: what a mutant does, in the words of a sentence."""
from inspect import getdoc

TIES = {"half_up": "up", "half_down": "down", "half_away": "away from zero", "half_zero": "toward zero", "half_even": "to even"}
DIRECTED = {"floor": "rounds down (floor)", "ceil": "rounds up (ceiling)", "trunc": "truncates toward zero",
            "away": "rounds away from zero", "odd": "rounds to odd (jamming)"}
FIELDS = {
    ("high", "none"): "rounds once instead of twice",
    ("overflow", "saturate"): "a left shift saturates instead of wrapping",
    ("overflow", "wrap"): "a left shift wraps instead of saturating",
    ("zero_point", "inside"): "the zero point joins before the rounding instead of after it",
    ("zero_point", "after"): "the zero point joins after the rounding instead of before it",
}
multiplier = {
    "q31": "the multiplier has 31 bits", "q15": "the multiplier has 15 bits", "mantissa24": "the multiplier has 24 bits",
    "dyadic": "the multiplier is dyadic, its carry kept", "pow2": "the multiplier is a power of two",
    "truncated": "the multiplier's mantissa is cut off instead of rounded",
}
STORAGE = {
    "sign_lost": "taken as unsigned (no sign extension)", "sign_invented": "taken as signed",
    "sign_and_magnitude": "taken as sign and magnitude",
    "offset_binary": "taken as offset binary (top bit turned over)", "pairs_swapped": "in pairs whose halves are swapped",
    "bytes_swapped": "with swapped bytes", "high_byte_lost": "as 16 bits",
}


def rounding(old, new):
    """`new` instead of `old`, both words of refq.ints.rounding (or "none")."""
    if new in TIES and old in TIES:
        return f"ties go {TIES[new]} instead of {TIES[old]}"
    what = DIRECTED.get(new) or f"rounds to nearest, ties {TIES.get(new, new)},"
    was = {"floor": "down", "ceil": "up", "trunc": "toward zero", "away": "away from zero", "odd": "to odd"}.get(old)
    return f"{what} instead of {was or 'to nearest, ties ' + TIES.get(old, old)}"


def field(name, old, new):
    last = name.split(".")[-1]
    if (last, new) in FIELDS:
        return FIELDS[last, new]
    if last == "alone":
        return f"each operand's own rescale rounds {new} instead of {old}"
    if new in TIES or new in DIRECTED:
        if old == "none":
            return f"rounds twice, the high half {new}, instead of once"
        where = " of the high half (the first of two roundings)" if last == "high" else ""
        return rounding(old, new) + (f", in the rounding{where}" if where else "")
    if last in ("accumulate", "squares"):
        return f"{'squares' if last == 'squares' else 'products'} join as {new} instead of {'exactly' if old == 'None' else old}"
    return f"{last} is {new} instead of {old}"


def word(old, new, site):
    return f"{rounding(old, new)}, at {site}"


def site(name, what):
    return f"register {name} {what}"


def slip(function, row):
    """The first line of the slip's own docstring, or its name."""
    text = (getdoc(function) or "").split("\n")[0].rstrip(".")
    name = function.__name__
    for start, words in SLIPS.items():
        if name.startswith(start + "(") or name.endswith(start):
            inside = name[name.find("(") + 1:-1].split(", ") if "(" in name else [name.removesuffix(start).rstrip("_")]
            return words.format(*inside)
    return f"{text[0].lower()}{text[1:]}" if text and "\n" not in text else name.replace("_", " ")


SLIPS = {
    "row_tail_lost": "a loop in steps of {1} over {0} forgets the tail, which stays 0",
    "tail_lost": "a loop in steps of {1} over {0} forgets what is left at its end",
    "tail_of_stored_lost": "a loop in steps of {0} over the stored codes of a row forgets what is left at its end",
    "row_tile_leaks": "the last step of a loop of {1} over {0} reads on behind the row",
    "tile_leaks": "the last step of a loop of {1} over {0} reads on behind the row",
    "channels_shifted": "{0} is off by {1} channel",
    "channels_lost": "the last channels of {0} beyond a multiple of {1} stay 0",
    "transposed": "{0} is transposed in memory",
    "not_cleared": "the registers of {0} are not cleared between tiles of {1} rows",
    "last_tile_lost": "the last rows of {0} beyond a multiple of {1} stay 0",
    "first_for_all": "every channel takes the {0} of the first",
    "pitch_ignored": "rows of {0} lie at multiples of {1} elements and are read without gaps",
    "pitch_invented": "rows of {0} lie without gaps and are read at multiples of {1} elements",
    "rows_overwritten": "every row of {0} is written over the first, and the others stay 0",
    "stored_exchanged": "{0} is read as if its axes {1} and {2} were exchanged in memory",
    "read_exchanged": "{0} lies with its axes {1} and {2} exchanged in memory and is read as if it did not",
    "stale_tiles": "the registers of {0} are not cleared between tiles of {1} by {2}",
    "all_zero": "{0} is 0",
    "stale_sums": "the registers of {0} (without the bias) are not cleared between tiles of {1} by {2}",
    "_of_previous_case": "{0} is still that of the case before",
    "_dropped": "{0} is taken as 0",
    "_negated": "{0} has the wrong sign",
}


def storage(name, what):
    return f"{name} is {STORAGE[what]}"
