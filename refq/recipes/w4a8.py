"""w4a8: weights of 4 bits per output channel, of 8 in the first and last layer; activations of 8 bits."""
from refq.recipes.base import Recipe

recipe = Recipe(
    name="w4a8",
    title="4-bit weights, 8-bit activations, 16-bit residual stream; first and last layer 8-bit weights",
    source="Dong et al., PackQViT, NeurIPS 2023 (edges at 8 bits); percentile calibration",
    weights=4,
)
