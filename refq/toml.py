"""TOML files of a user: read, or refused by a sentence that names the file."""
import tomllib

from refq.errors import Corrupt, IllFormed


def read(path, kind, names):
    """The tables of the file `path`, which describes a `kind` (dialect, recipe) beside those that have `names`. Raises IllFormed
    where there is none, Corrupt where it is no TOML or cannot be read."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise IllFormed(f"{path}: no such file; a {kind} is {', '.join(names)} or a .toml file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise Corrupt(f"{path}: not TOML: {e}") from None
    except OSError as e:
        raise Corrupt(f"{path}: cannot be read: {e.strerror}") from None
