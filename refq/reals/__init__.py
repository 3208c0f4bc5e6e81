"""Reals: what the operations of a float graph compute, in float64."""
