"""Shrinking: the smallest case that still fails."""
