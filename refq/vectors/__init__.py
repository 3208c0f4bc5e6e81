"""Golden packs: recording them, checking what devices dump and kernels compute against them."""
