"""Layouts of weights: sizes, constants and codes of configurations of their operations.

SIZES: operation to its sizes; FITTED: to what fits its constants (constants.py); PLACED: to what places its codes (rows.py).
"""

SIZES, FITTED, PLACED = {}, {}, {}
