"""Numbers in sentences never claim more than was proved."""

import math

import numpy as np
import pytest

from ctrecon.support.rounded import at_least, at_most, round_down, round_up, within


@pytest.mark.parametrize("digits", [1, 4, 6])
def test_rounded_to_the_safe_side(digits):
    rng = np.random.default_rng(7)
    for x in np.concatenate([rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200), [0.0, 1.0, -2.5]]):
        assert float(at_most(x, digits)) <= x <= float(at_least(x, digits))
        assert round_up(x, digits) - round_down(x, digits) <= 10.0 ** (1 - digits) * abs(x) * (1 + 1e-9)
        assert float(at_most(x, 17)) == float(at_least(x, 17)) == x
    assert (at_most(0.12345), at_least(0.12345), at_most(-0.0)) == ("0.1234", "0.1235", "0")
    assert math.isinf(round_up(math.inf, 3))
    assert float(f"{0.12345678:.4g}") > 0.12345678  # rounded to the nearest, it would claim too much


def test_limits_are_rounded_inwards():
    assert within(0.12341, 0.56789) == ("0.1235", "0.5678")
    assert within(0.12341, 0.12342) == ("0.12341", "0.12342")
    assert within(0.5, 0.5) == ("0.5", "0.5")
