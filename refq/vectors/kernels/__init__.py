"""Kernels: somebody's code run on the cases of a pack, by a call, by files, as a function or as a model."""
