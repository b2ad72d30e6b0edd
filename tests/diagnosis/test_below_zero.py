"""A certified image that no attenuation can be is said to be one, and one that can be is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.below_zero import MOST_SHARE, below_zero
from ctrecon.phantoms import FAMILIES


@pytest.mark.long
def test_halves_that_do_not_belong_together_are_not_certified_silently() -> None:
    scan = ct.simulate("ellipses", beam="fan", size=48, views=60, noise=0.01, seed=9).scan
    honest = ct.reconstruct(scan, method="cgls")
    assert honest.certified
    assert "below 0" not in str(honest)
    mixed = np.concatenate([scan.sinogram[:30], np.roll(scan.sinogram, 3, axis=0)[30:]])
    found = ct.reconstruct(dataclasses.replace(scan, sinogram=mixed), method="cgls", delta="3%")
    assert found.certified
    assert "below 0, where no attenuation is" in str(found)
    assert any(note.startswith("doubt: ") and "below 0" in note for note in found.scan.notes)


def test_the_share_is_of_the_energy() -> None:
    image = np.ones((10, 10), dtype=np.float32)
    image[0] = -1
    assert below_zero(image) is None, f"10% is not more than {MOST_SHARE}"
    image[1, 0] = -1
    assert str(below_zero(image)).startswith("11% of the image's energy lies below 0")
    assert below_zero(np.zeros((3, 3), dtype=np.float32)) is None
    assert below_zero(np.full((3, 3), 1e30, dtype=np.float32)) is None


def _honest(phantom: str) -> Iterator[ct.Scan]:
    """Of one family: fans and parallel beams of many and few views, much and little noise, limited angles."""
    for beam, views, noise in (("fan", 120, 0.01), ("fan", 30, 0.01), ("fan", 8, 0.01), ("parallel", 180, 0.05),
                               ("fan", 60, 0.002)):  # fmt: skip
        yield ct.simulate(phantom, beam=beam, size=96, views=views, noise=noise, seed=31).scan
    whole = ct.simulate(phantom, beam="parallel", size=96, views=180, noise=0.01, seed=31).scan
    for degrees in (30, 60, 90):
        yield dataclasses.replace(
            whole, sinogram=whole.sinogram[:degrees], geometry=whole.geometry.views(slice(degrees))
        )


@pytest.mark.long
@pytest.mark.parametrize("phantom", [family.name for family in FAMILIES])
def test_scans_that_are_as_stated_stay_far_below(phantom: str) -> None:
    shares = []
    for scan in _honest(phantom):
        for method in ("cgls", "gradient"):
            found = ct.reconstruct(scan, method=method)
            if found.certified:
                squares = np.square(found.image, dtype=np.float64)
                shares.append(float(squares[found.image < 0].sum() / squares.sum()))
    print(phantom, len(shares), min(shares), max(shares))
    assert len(shares) > 12
    assert max(shares) < MOST_SHARE / 2
