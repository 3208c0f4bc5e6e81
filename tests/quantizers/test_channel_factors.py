"""Channel factors from data: each channel takes the exponent of the least error, whatever the order and the split."""
import numpy as np

from refq import quantizers
from refq.grids.channel_factors import ChannelFactors
from refq.ints.width import I8
from refq.quantizers.channel_factors import Factors

RNG = np.random.default_rng(2)


def chosen(values, *parts):
    factors = Factors(I8, 8.0, -3, (0, 1, 2, 3))
    for part in parts or [values]:
        factors.see(part)
    return factors.grid()


def test_each_channel_takes_the_least_error():
    """By definition: the grid with every exponent for all channels, and the mean squared error of each channel."""
    values = RNG.normal(0, 1, (40, 5, 12)) * 2.0 ** RNG.uniform(3, 10, 12)
    errors = []
    for k in range(4):
        grid = ChannelFactors(I8, 1.0, (k,) * 12, -3)
        errors.append(((grid.decode(grid.encode(values)) - values) ** 2).mean(axis=(0, 1)))
    found = chosen(values)
    assert found.exponents == tuple(np.argmin(errors, axis=0)) and len(set(found.exponents)) > 2
    assert (found.unit, found.zero, found.width) == (1.0, -3, I8)


def test_order_and_split_do_not_matter():
    values = RNG.normal(0, 1, (30, 6)) * 2.0 ** np.arange(4, 10)
    assert chosen(values).exponents == chosen(None, values[:7], values[7:]).exponents == chosen(values[::-1]).exponents


def test_a_channel_of_zeros_takes_the_first():
    assert chosen(np.zeros((3, 2))).exponents == (0, 0)


def test_the_range_is_what_was_seen():
    """As a calibrator by name it is min-max, as the authors' observer is."""
    quantizer = quantizers.load("channel_factors")
    for part in (np.array([1.0, -4.0]), np.array([2.5])):
        quantizer.see(part)
    assert quantizer.range() == (-4.0, 2.5)
