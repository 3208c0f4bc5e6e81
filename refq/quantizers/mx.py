"""mx: an e8m0 scale for every 32 numbers, elements of a small float or int8: the OCP microscaling formats.

source   OCP Microscaling Formats v1.0, 5.2 and 6.3; the rules beside floor: refq/ints/blocks.py
"""
from refq.errors import IllFormed
from refq.ints.blocks import POWERS
from refq.quantizers.blocked import Blocked


class Quantizer(Blocked):
    """`element`: e4m3fn, e5m2, e3m2fn, e2m3fn, e2m1fn or int8; `rule`: floor, even, ceil or round_up."""

    def __init__(self, element="e4m3fn", rule="floor", block=32):
        if rule not in POWERS:
            raise IllFormed(f"calibrator mx: rule {rule!r}; it can be {', '.join(POWERS)}")
        super().__init__(rule, element, block)
