"""Check that imports in refq/ go down only.

    python tools/floors.py        prints one line for each violation; exit status 1 where there is one

The floors below are the plan: a package imports from lower floors and from itself, never from its own floor's
neighbours, and this holds for imports inside functions too. Outside of refq it imports the standard library and the
project's declared dependencies, so that no peer (torch, onnxruntime, ...) comes in; some of them stay in one place.
"""
import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FLOORS = (
    ("errors",),
    ("ints", "toml"),
    ("grids", "layouts", "machine", "reals"),
    ("ops", "quantizers", "pruners"),
    ("dialects", "recipes"),
    ("graph",),
    ("networks", "vectors"),
    ("load", "testing", "view", "embedded"),
    ("refq",),                          # refq/__init__.py: the public names
    ("cli", "__main__"),
)
FLOOR = {package: number for number, packages in enumerate(FLOORS) for package in packages}

KEPT = {"numba": ("ints", "machine"), "llvmlite": ("ints", "machine"), "click": ("cli", "__main__"),
        "hypothesis": ("testing",), "pytest": ("testing",), "PIL": ("load",), "matplotlib": ("view",)}
"""Libraries that only these packages import."""

OPTIONAL = {"hypothesis", "PIL", "onnxruntime", "pytest", "distributed", "tflite", "matplotlib"}
"""Libraries that an extra brings, for what refq does not exist for; imported inside the function that needs them."""

BROUGHT = {"numba": ("llvmlite",), "onnx": ("google",)}
"""Modules that a dependency is made of: importing them adds none."""


def declared(root=ROOT):
    """The top-level modules that refq may import: of the dependencies in pyproject.toml, and the optional ones."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    named = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in project["dependencies"]}
    return named.union(OPTIONAL, *(BROUGHT.get(name, ()) for name in named))


def package_of(path, root=ROOT):
    """The package of refq that a file belongs to: `ops` for refq/ops/rescale.py, `refq` for refq/__init__.py."""
    first = path.relative_to(root / "refq").parts[0].removesuffix(".py")
    return "refq" if first == "__init__" else first


def imports(tree, module):
    """Every (line, dotted name) that the tree of `module` imports, at any depth; names behind `from refq import` too.

    `module` is a list of names; a package's own __init__ ends in "__init__".
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module[:len(module) - node.level]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def complaint(package, name, libraries):
    """What is wrong with `package` importing `name`, or None."""
    top, *rest = name.split(".")
    if top != "refq":
        if top not in sys.stdlib_module_names and top not in libraries:
            return f"imports {top}, which is no dependency of the project"
        if package not in KEPT.get(top, (package,)):
            return f"imports {top}, which only {' and '.join(KEPT[top])} may"
        return None
    wanted = rest[0] if rest and rest[0] in FLOOR else "refq"
    if wanted == package or FLOOR[wanted] < FLOOR[package]:
        return None
    if FLOOR[wanted] == FLOOR[package]:
        return f"imports {name}: {wanted} and {package} are on one floor (F{FLOOR[wanted] - 1})"
    return f"imports {name}: {wanted} is above {package}"


def violations(root=ROOT):
    """One line for each import that does not go down, and for each package that has no floor."""
    found, libraries = [], declared(root)
    for path in sorted((root / "refq").rglob("*.py")):
        place, package = path.relative_to(root), package_of(path, root)
        if package not in FLOOR:
            found.append(f"{place}: {package} has no floor; give it one in tools/floors.py")
            continue
        module = list(place.with_suffix("").parts)
        for line, name in imports(ast.parse(path.read_text(), str(path)), module):
            said = complaint(package, name, libraries)
            if said:
                found.append(f"{place}:{line}: {said}")
    return found


if __name__ == "__main__":
    lines = violations()
    print("\n".join(lines) or "floors: imports go down")
    sys.exit(bool(lines))
