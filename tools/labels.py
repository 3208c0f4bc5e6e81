"""Check that the rule labels of every operation agree, and that its docstring has its parts.

    python tools/labels.py        prints one line for each disagreement; exit status 1 where there is one

For each refq/ops/<name>.py: the docstring begins with `<name>: `, lists rules R1, R2, ... without a gap, and has the
sections units, error and source. Each rule appears in a comment (`# R2`) of `spec` and of `kernel`, each label in a
comment is a rule, and each law named r2_... speaks of a rule. A helper that serves both (a word of the same file) does
not count: the label stands where the rule is obeyed.
"""
import ast
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SECTIONS = ("units", "error", "source")
RULE = re.compile(r"^R(\d+)\b", re.MULTILINE)
LABEL = re.compile(r"\bR(\d+)\b")
LAW = re.compile(r"^r(\d+)_")


def labels_by_line(path):
    """The rule numbers in the comments of each line."""
    with tokenize.open(path) as file:
        comments = [t for t in tokenize.generate_tokens(file.readline) if t.type == tokenize.COMMENT]
    return {t.start[0]: {int(n) for n in LABEL.findall(t.string)} for t in comments}


def listed(numbers):
    return ", ".join(f"R{n}" for n in sorted(numbers))


def disagreements(path):
    """What is wrong in one operation's file, one sentence each."""
    tree = ast.parse(path.read_text(), str(path))
    doc = ast.get_docstring(tree) or ""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = []
    if not doc.startswith(f"{path.stem}: "):
        found.append(f"the docstring begins with {doc.split(chr(10))[0][:30]!r}, not with '{path.stem}: '")
    found += [f"the docstring has no section `{s}`" for s in SECTIONS if not re.search(rf"^{s}\b", doc, re.MULTILINE)]
    numbers = [int(n) for n in RULE.findall(doc)]
    rules = set(numbers)
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        found.append(f"the docstring's rules are {listed(rules) or 'none'}; they count R1, R2, ... in order")
    by_line = labels_by_line(path)
    for name in ("spec", "kernel"):
        if name not in functions:
            found.append(f"there is no `{name}`")
            continue
        body = range(functions[name].lineno, functions[name].end_lineno + 1)
        missing = rules - set().union(*(by_line.get(line, ()) for line in body))
        if missing:
            found.append(f"`{name}` has no comment for {listed(missing)}")
    unknown = set().union(*by_line.values()) - rules
    if unknown:
        found.append(f"comments speak of {listed(unknown)}, which the docstring does not list")
    for name in functions:
        law = LAW.match(name)
        if law and int(law[1]) not in rules:
            found.append(f"the law {name} speaks of R{law[1]}, which the docstring does not list")
    return found


def operations(root=ROOT):
    return sorted(p for p in (root / "refq" / "ops").glob("*.py") if p.name != "__init__.py")


def violations(root=ROOT):
    """One line for each disagreement in any operation's file."""
    return [f"{path.relative_to(root)}: {said}" for path in operations(root) for said in disagreements(path)]


if __name__ == "__main__":
    lines = violations()
    print("\n".join(lines) or f"labels: {len(operations())} operations agree with their rules")
    sys.exit(bool(lines))
