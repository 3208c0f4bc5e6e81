"""fqvit: weights and activations of 8 bits, the residual stream among them; attention as the target's softmax gives it, which
is 4 bits of powers of two under the dialect of that name."""
from refq.recipes.base import Recipe

recipe = Recipe(
    name="fqvit",
    title="8-bit weights and activations, 8-bit residual stream",
    source="Lin et al., FQ-ViT, IJCAI 2022, table 1 (W8 A8 Attn4); megvii-research/FQ-ViT config.py: min-max",
    stream=8, output=8,
    calibrator="minmax",
)
