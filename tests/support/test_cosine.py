"""The cosine transform is scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from ctrecon.classical.quasi_newton import fast_length
from ctrecon.support.cosine import dct, idct


@pytest.mark.parametrize("count", [1, 2, 5, 16, 33])
def test_it_is_scipys_and_has_its_inverse(count: int) -> None:
    x = np.random.default_rng(count).normal(size=(3, count))
    assert np.allclose(dct(x), scipy.fft.dct(x, axis=1), atol=1e-12)
    assert np.allclose(idct(dct(x)), x, atol=1e-12)
    assert not np.allclose(idct(dct(x) * 1.001), x, atol=1e-12)


def test_fast_lengths_are_scipys() -> None:
    assert [fast_length(n) for n in range(1, 600)] == [scipy.fft.next_fast_len(n, real=True) for n in range(1, 600)]
