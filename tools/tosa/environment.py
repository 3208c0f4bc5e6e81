"""Where Arm's tools are: an environment of their own, since they pin NumPy.

The folder is $REFQ_TOSA, or refq-tosa in the user's cache. `make()` builds it; `files()` names the programs in it.
"""
import os
import subprocess
import sys
from pathlib import Path

VERSION = "2026.8.0"
HOW = f"make it with: python -m tools.tosa --setup (a venv with tosa-tools {VERSION}, in $REFQ_TOSA or ~/.cache/refq-tosa)"


def folder():
    given = os.environ.get("REFQ_TOSA")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refq-tosa"


def packages():
    """The site-packages of the environment; raises ImportError where Arm's tools are not there."""
    found = sorted(folder().glob("lib/python3*/site-packages"))
    if not found or not (found[0] / f"tosa_tools-{VERSION}.dist-info").is_dir():
        raise ImportError(f"no tosa-tools {VERSION} in {folder()}; {HOW}")
    return found[0]


def program(name):
    """A program of the environment's bin."""
    packages()
    return folder() / "bin" / name


def model():
    """(the reference model itself, the schema of its graphs)."""
    inside = packages() / "bin"
    return inside / "tosa_reference_model", inside / "tosa.fbs"


def make():
    """The environment, with the network, where it is absent."""
    try:
        packages()
    except ImportError:
        subprocess.run([sys.executable, "-m", "venv", folder()], check=True)
        subprocess.run([folder() / "bin" / "python", "-m", "pip", "install", "--quiet", f"tosa-tools=={VERSION}"], check=True)
        packages()
