"""What a law suite found: which laws held, which were broken by which smallest input, and what was identified on the way."""
from dataclasses import dataclass, field

RAISES = "raises "
"""How the text begins that says of an exception."""


@dataclass(frozen=True, eq=False)
class Broken:
    """A law that does not hold. `law`: its name; `sentence`: what it says; `seen`: what was seen instead; `input`: the smallest
    one that was found (an array, or operand to array); `reproducer`: Python that shows it again, without Hypothesis."""

    law: str
    sentence: str
    seen: str
    input: object
    reproducer: str

    def __str__(self):
        return f"{self.law}: {self.sentence}\n  seen: {self.seen}\n\n{self.reproducer}"


@dataclass(frozen=True, eq=False)
class Report:
    """`held`: names of laws; `broken`: each a Broken; `idle`: names of laws that say nothing here; `identified`: word to text,
    such as the tie rule; `inputs`: how many inputs each law was asked about before any search."""

    held: tuple
    broken: tuple
    idle: tuple = ()
    identified: dict = field(default_factory=dict)
    inputs: int = 0

    @property
    def passed(self):
        return not self.broken

    def __str__(self):
        lines = [f"{'PASS' if self.passed else 'FAIL'}: {len(self.held)} laws hold, {len(self.broken)} are broken, "
                 f"{len(self.idle)} say nothing here; {self.inputs} inputs"]
        lines += [f"{word}: {text}" for word, text in self.identified.items()]
        alike = {}
        for one in self.broken:             # what raises the same does so for one reason, which is shown once
            alike.setdefault(one.seen if one.seen.startswith(RAISES) else one.law, []).append(one)
        for first, *others in alike.values():
            lines.append(f"\n{first}")
            if others:
                lines.append(f"The same exception breaks {', '.join(one.law for one in others)}.")
        return "\n".join(lines)


class LawBroken(AssertionError):
    """A law does not hold; `report` has what was found, and the message is its text."""

    def __init__(self, report):
        super().__init__(str(report))
        self.report = report


def attempted(law, *arguments):
    """What a law says of its arguments: None, or a text; an exception is one too."""
    try:
        return law(*arguments)
    except Exception as error:          # whatever the code under test raises breaks the law
        return f"{RAISES}{type(error).__name__}: {' '.join(str(error).split())[:300]}"
