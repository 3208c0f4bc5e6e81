"""The fast inner loops that kernels share."""
