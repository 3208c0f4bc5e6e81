"""roundings: the dictionary of roundings as text and plain values: what each makes of the ties, and what others call it."""
from refq.ints import rounding
from refq.ints.rounding_names import dictionary, find
from refq.view.show import TIES, table, ties


def of_ties(word):
    """What a rounding makes of the six ties around zero."""
    return {str(t): int(rounding.word(word)(int(2 * t), 1)) for t in TIES}


def everything():
    """All words, and the projects whose names are known."""
    projects = list(dict.fromkeys(n.project for n in dictionary if n.project != "refq"))
    count = len(dictionary) - len(rounding.names)
    value = {"roundings": {w: of_word(w)[0] for w in rounding.names}, "projects": projects}
    text = f"{ties(rounding.names)}\n\n{count} names of {len(projects)} other projects: {', '.join(projects)}\n\n" \
           "refq rounding NAME or PROJECT:NAME tells which word a name is, and what else it is called"
    return value, text


def calls(word):
    """Every Name of that word but refq's own."""
    return [n for n in dictionary if n.word == word and n.project != "refq"]


def of_word(word):
    value = {"rounding": word, "ties": of_ties(word), "names": [vars(n) for n in calls(word)]}
    lines = [[n.project, n.name, n.seen] for n in calls(word)]
    return value, f"{ties([word])}\n\n{table(['project', 'calls it', 'where'], lines)}"


def named(text):
    """(value, text) of one word of refq's, of PROJECT:NAME, or of a NAME in whatever projects; raises IllFormed for none."""
    if text in rounding.names:
        return of_word(text)
    found = find(text)
    words = list(dict.fromkeys(n.word for n in found))
    value = {"asked": text, "names": [vars(n) for n in found], "ties": {w: of_ties(w) for w in words}}
    return value, "\n".join([f"{n.project}:{n.name} is {n.word} ({n.seen})" for n in found] + ["", ties(words)])
