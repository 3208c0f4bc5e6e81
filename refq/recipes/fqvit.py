"""fqvit: weights and activations of 8 bits, the residual stream among them; attention as the target's softmax gives it, which
is 4 bits of powers of two under the dialect of that name.

A network of which one channel is a hundred times the others loses by it. In ViT-Tiny's stream from block 7 on one channel reaches
564, the others 6 in the median, and what the second Linear of that block adds has 8-bit codes without factors (the authors' code
quantizes it so, too), whose unit is 2.3: 37 of 64 images right, where float has 57. With this one tensor at 16 bits it is 52,
with the whole stream (stream=16) 55; with factors up to 2**7, a 15-bit multiplier in LayerNorm, 17 levels or affine codes of
attention, or 16 bits into GELU, it is 37 to 42, and with percentiles less than with the authors' min-max.
"""
from refq.recipes.base import Recipe

recipe = Recipe(
    name="fqvit",
    title="8-bit weights and activations, 8-bit residual stream",
    source="Lin et al., FQ-ViT, IJCAI 2022, table 1 (W8 A8 Attn4); megvii-research/FQ-ViT config.py: min-max",
    stream=8, output=8,
    calibrator="minmax",
)
