"""What refq refuses, and how it says so: every message is one sentence that names the thing and says what to do.

The command line prints the sentence and leaves with status 2; from Python they are ordinary exceptions.
"""
from difflib import get_close_matches


class RefqError(Exception):
    """The parent of everything that refq refuses on purpose."""


class IllFormed(RefqError, ValueError):
    """An argument, row, dialect, recipe or tensor that cannot be meant; refused before any arithmetic."""


class Unsupported(RefqError, NotImplementedError):
    """Something well formed that refq does not do; says what, where, and what it does do."""


class Corrupt(RefqError, OSError):
    """A file that is damaged, truncated, or not what its name says."""


def nearest(word, known):
    """The end of a sentence about a name that is not known: the nearest ones, or all (of many the first)."""
    known = tuple(dict.fromkeys(known))
    close = get_close_matches(str(word), known, 3, 0.6)
    some = ", ".join(known) if len(known) <= 40 else f"{', '.join(known[:12])} ... ({len(known)} in all)"
    return f"did you mean {' or '.join(close)}?" if close else f"there are {some}"
