"""Other people's quantizers as tools/findings.py asks them: one family a file, each with `subjects()` and `version()`."""
