"""Intervals hold what they claim to, where the law is known."""

import numpy as np
import pytest

from ctrecon.errors import SettingError
from ctrecon.support.statistics import Estimate, estimate, share_of_groups, shares


def coverage(groups, images, between, within, *, by_group=True, scans=300):
    """How often the interval holds the true mean 0, of ``groups`` patients with ``images`` images each."""
    rng, held = np.random.default_rng(groups * 100 + images), 0
    for _ in range(scans):
        values = between * rng.normal(size=(groups, 1)) + within * rng.normal(size=(groups, images))
        names = np.repeat(np.arange(groups), images) if by_group else np.arange(groups * images)
        found = estimate(values.ravel().tolist(), names.tolist(), draws=1000)
        held += found.low <= 0 <= found.high
    return held / scans


@pytest.mark.parametrize(("groups", "images"), [(5, 4), (10, 1), (30, 3)])
def test_the_interval_holds_the_mean_in_95_percent(groups, images):
    """300 experiments of a normal law: 95% give a share of 91 to 98% but for one in a thousand."""
    assert 0.905 <= coverage(groups, images, 1.0, 0.5) <= 0.99


def test_an_interval_over_images_in_the_place_of_patients_would_not():
    """The mistake that this is for: images of one patient are alike."""
    assert coverage(8, 10, 1.0, 0.2, by_group=False) < 0.75
    assert coverage(8, 10, 1.0, 0.2) > 0.9


def test_skewed_values_and_patients_of_different_size():
    rng, held = np.random.default_rng(2), 0
    for _ in range(200):
        counts = rng.integers(1, 6, size=25)
        level = np.repeat(rng.exponential(size=25), counts)
        names = np.repeat(np.arange(25), counts)
        found = estimate(level.tolist(), names.tolist(), draws=500)
        held += found.low <= 1 <= found.high
    assert held / 200 > 0.86


def test_numbers_are_the_same_each_time_and_of_one_patient_nothing_is_known():
    values, groups = [1.0, 2.0, 4.0, 8.0], ["a", "a", "b", "c"]
    assert estimate(values, groups) == estimate(values, groups)
    assert estimate(values, groups, seed=1, draws=50) != estimate(values, groups, draws=50)
    found = estimate(values, groups)
    assert (found.mean, found.images, found.groups) == (3.75, 4, 3)
    alone = estimate([1.0, 3.0], ["a", "a"])
    assert (alone.mean, alone.images, alone.groups) == (2.0, 2, 1)
    assert not alone.known
    assert not alone.significant
    assert "no interval" in str(alone)
    assert estimate([1.0, 1.1, 0.9, 1.0], [1, 2, 3, 4]).significant
    assert not estimate([1.0, -1.1, 0.9, -1.0], [1, 2, 3, 4]).significant


def test_shares_are_wilsons():
    found = shares([True] * 91 + [False] * 2)
    assert (found.hits, found.count) == (91, 93)
    assert found.low == pytest.approx(0.925, abs=1e-3)
    assert found.high == pytest.approx(0.994, abs=1e-3)
    assert shares([True] * 100).high == 1.0
    assert shares([False]).low == 0.0
    rng = np.random.default_rng(0)
    held = [s.low <= 0.9 <= s.high for s in (shares((rng.random(60) < 0.9).tolist()) for _ in range(400))]
    assert 0.91 <= np.mean(held) <= 0.99


@pytest.mark.parametrize("alike", [True, False])
def test_cases_of_one_object_count_for_fewer(alike):
    """Noises of one object meet delta together: an interval over them as if apart holds the share far too rarely."""
    rng, held, naive = np.random.default_rng(3 + alike), 0, 0
    for _ in range(300):
        p = rng.beta(0.9, 0.1, size=(60, 1)) if alike else np.full((60, 1), 0.9)
        hits = (rng.random((60, 11)) < p).ravel().tolist()
        found = share_of_groups(hits, np.repeat(np.arange(60), 11).tolist())
        held += found.low <= 0.9 <= found.high
        naive += shares(hits).low <= 0.9 <= shares(hits).high
        assert (found.hits, found.count) == (sum(hits), 660)
    assert 0.91 <= held / 300 <= 0.99
    assert (naive / 300 < 0.75) == alike


def test_where_all_cases_agree_each_object_counts_as_one():
    found = share_of_groups([True] * 66, [k // 11 for k in range(66)])
    assert (found.low, found.high) == (shares([True] * 6).low, 1.0)
    assert share_of_groups([True, False, True], "abc").low == pytest.approx(shares([True, False, True]).low)


def test_what_has_no_mean_is_refused():
    with pytest.raises(SettingError, match="needs values"):
        estimate([], [])
    with pytest.raises(SettingError, match="got 2 and 1"):
        estimate([1.0, 2.0], ["a"])
    with pytest.raises(SettingError, match="needs cases"):
        shares([])
    with pytest.raises(SettingError, match="needs cases"):
        share_of_groups([], [])
    with pytest.raises(SettingError, match="got 1 and 2"):
        share_of_groups([True], "ab")
    assert isinstance(estimate([1.0], [0]), Estimate)
