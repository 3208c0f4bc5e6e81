"""refq as a system under test in Arm's own runner of TOSA tests; `python -m tools.tosa` does it all (see __main__.py).

`sut` and `flat` run in the environment of Arm's tools, which pins NumPy, and import nothing of refq; the rest is refq's.
"""
