"""Devices that `bisect` can ask: a Python function, or a command that finds its question in a folder."""
import importlib
import os
import subprocess
import sys
from pathlib import Path
from shlex import split
from tempfile import TemporaryDirectory

import numpy as np

from refq.errors import IllFormed, RefqError

CANNOT = 3
LIMIT = 600


def function(text):
    """The device of "module:function", the module looked for in the working folder first; its own errors become one
    sentence, and NotImplementedError goes through: the device cannot start from what it was fed."""
    module, _, name = text.partition(":")
    if not (module and name):
        raise IllFormed(f"--python {text!r}: write MODULE:FUNCTION")
    sys.path.insert(0, os.getcwd())
    try:
        called = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as e:
        raise IllFormed(f"--python {text!r}: {e}; run it where the module lies, or install it") from None
    except AttributeError:
        raise IllFormed(f"--python {text!r}: {module} has no function {name!r}") from None
    except Exception as e:
        raise RefqError(f"--python {text!r}: importing {module} failed: {type(e).__name__}: {e}") from e
    finally:
        sys.path.remove(os.getcwd())

    def device(feed, want):
        try:
            return called(feed, want)
        except NotImplementedError:
            raise
        except Exception as e:
            raise RefqError(f"{text}: raised {type(e).__name__}: {e}") from e
    return device


def command(line, limit=LIMIT):
    """The device of a command: it is called with a folder, finds feed/TENSOR.npy there and the names of the tensors to show
    in want.txt, one a line, writes each to shown/TENSOR.npy, and ends with status 0; with status 3 where it cannot start
    from what it was fed. A slash in a tensor's name is %2F in the file's. `limit`: seconds."""
    words = split(line)
    if not words:
        raise IllFormed("--command: is empty; give the command that runs the device")

    def device(feed, want):
        with TemporaryDirectory(prefix="refq-bisect-") as folder:
            folder = Path(folder)
            for name in ("feed", "shown"):
                (folder / name).mkdir()
            for name, codes in feed.items():
                np.save(folder / "feed" / file_of(name), codes)
            (folder / "want.txt").write_text("".join(f"{name}\n" for name in want))
            run([*words, str(folder)], limit)
            return {name: loaded(folder / "shown" / file_of(name), words[0]) for name in want
                    if (folder / "shown" / file_of(name)).exists()}
    return device


def file_of(name):
    return name.replace("%", "%25").replace("/", "%2F") + ".npy"


def loaded(path, command):
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as e:
        raise RefqError(f"{command}: {path.name} is not a readable .npy file: {e}") from None


def run(words, limit):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit)
    except OSError as e:
        raise RefqError(f"{words[0]}: cannot be run ({e.strerror}); install it, or mend --command") from None
    except subprocess.TimeoutExpired:
        raise RefqError(f"{words[0]}: ran longer than {limit} s") from None
    if done.returncode == CANNOT:
        raise NotImplementedError
    if done.returncode:
        last = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise RefqError(f"{words[0]}: ended with status {done.returncode}: {last}")
