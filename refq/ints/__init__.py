"""Words on integers: widths, roundings, multipliers, roots. The vocabulary that everything above speaks."""
