"""Text between two marks of a file, which a tool makes anew: the tables of the README."""


def write(path, first, last, text):
    """Put `text` between the marks `first` and `last` of the file `path` (pathlib), in place of what stands there."""
    head, rest = path.read_text().split(first)
    path.write_text(f"{head}{first}\n\n{text}\n{last}{rest.split(last)[1]}")
