"""Scoring: which mistakes vectors tell from the truth, and which are no mistakes."""
