"""w8a16: weights of 8 bits per output channel, activations of 16, symmetric."""
from refq.recipes.base import Recipe

recipe = Recipe(
    name="w8a16",
    title="8-bit weights, 16-bit activations",
    source="TensorFlow Lite 8-bit quantization specification, 16x8 mode",
    activations=16, logits=16, gelu=16, probabilities=16,
    calibrator="minmax",
)
