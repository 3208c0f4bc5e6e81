"""Architectures from named tensors, one file each, for weights that come without a graph.

A file has `recognizes(names)`, whether these are its tensors, and `build(tensors, config, name)`, the canonical graph.
"""
