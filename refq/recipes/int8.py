"""int8: weights per output channel and activations of 8 bits; the residual stream of 16."""
from refq.recipes.base import Recipe

recipe = Recipe(
    name="int8",
    title="8-bit weights and activations, 16-bit residual stream",
    source="Li and Gu, I-ViT, ICCV 2023, section 3 (widths along a block); percentile calibration",
)
