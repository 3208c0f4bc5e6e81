"""One verb, one file: each has a click command named `command`; the folder is the list (`import_.py` is `refq import`)."""
