"""Channel factors from data: each channel takes the exponent of the least error, whatever the order and the split."""
import numpy as np
import pytest

from refq import quantizers
from refq.errors import IllFormed
from refq.grids.channel_factors import ChannelFactors
from refq.ints.width import I8
from refq.quantizers.channel_factors import Factors, signed_by

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


def test_shards_are_merged():
    """Two that saw a part each choose as one that saw all; of another grid, of other channels and of nothing is refused."""
    values = RNG.normal(0, 1, (30, 6)) * 2.0 ** np.arange(4, 10)
    shards = [Factors(I8, 8.0, -3, (0, 1, 2, 3)) for _ in range(3)]
    for shard, part in zip(shards, (values[:7], values[7:])):
        shard.see(part)
    shards[2].merge(shards[0])
    shards[2].merge(shards[1])
    assert shards[2].grid().same(chosen(values))
    for other, said in ((Factors(I8, 4.0, -3, (0, 1, 2, 3)), "of one grid"), (Factors(I8, 8.0, -3, (0, 1)), "of one grid")):
        with pytest.raises(IllFormed, match=said):
            shards[0].merge(other)
    other = Factors(I8, 8.0, -3, (0, 1, 2, 3))
    with pytest.raises(IllFormed, match="no value was seen"):
        other.grid()
    other.see(values[:, :5])
    with pytest.raises(IllFormed, match="of 6 channels cannot take in 5"):
        shards[0].merge(other)


def test_the_choice_of_packqvit():
    """Its released steps, one channel at a time: s8 from the range, s1 = s8 / 8, the exponent of the least squared error with
    the zero point added before the rounding; a sign where a value lies below -1e-5."""
    x = RNG.normal(0.3, 1, (50, 8)) * 2.0 ** RNG.uniform(-2, 3, 8)
    lo, hi, bits = x.min(), x.max(), 8
    assert signed_by(lo) and not signed_by(-1e-6)
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    s8 = (hi - lo) / (most - least)
    zero = min(max(least - round(lo / s8), least), most)
    steps = [s8 / 8 * 2 ** k for k in range(4)]
    errors = [[((np.clip(np.rint(x[:, c] / s + zero), least, most) - zero) * s - x[:, c]) ** 2 for s in steps] for c in range(8)]
    factors = Factors(I8, s8, zero, (0, 1, 2, 3))
    factors.see(x)
    assert factors.grid().exponents == tuple(int(np.argmin([e.mean() for e in channel])) for channel in errors)


def test_a_channel_of_zeros_takes_the_first():
    assert chosen(np.zeros((3, 2))).exponents == (0, 0)


def test_the_range_is_what_was_seen():
    """As a calibrator by name it is min-max, as the authors' observer is."""
    quantizer = quantizers.load("channel_factors")
    for part in (np.array([1.0, -4.0]), np.array([2.5])):
        quantizer.see(part)
    assert quantizer.range() == (-4.0, 2.5)
