"""min-max: the range is what was seen, from the smallest value to the largest."""


class Quantizer:
    """`see` any number of arrays, then ask for the `range()`."""

    def __init__(self):
        self.lo, self.hi = float("inf"), float("-inf")

    def see(self, values):
        if values.size:
            self.lo, self.hi = min(self.lo, float(values.min())), max(self.hi, float(values.max()))

    def range(self):
        return self.lo, self.hi
