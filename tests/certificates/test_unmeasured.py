"""Directions that no ray has are named wherever a certificate is spoken of, and no others."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.certificates.unmeasured import LEAST_DEG, unmeasured_directions
from ctrecon.certificates.worth import worth_of

VIEWS = 60


def scan(beam: str, views: slice) -> ct.Scan:
    made = ct.simulate("head", beam=beam, size=32, views=VIEWS, noise=0.02, seed=1).scan
    assert made.geometry is not None
    return ct.Scan(made.sinogram[views], made.geometry.views(views))


@pytest.mark.parametrize("beam", ["parallel", "fan"])
@pytest.mark.parametrize("share", [0.25, 0.4, 0.5, 1.0])
@pytest.mark.parametrize("free", [False, True])
def test_no_ray_through_the_middle_runs_there_and_rays_run_on_either_side(beam: str, share: float, free: bool) -> None:
    geometry = scan(beam, slice(7, 7 + round(share * (VIEWS - 7)))).geometry
    assert geometry is not None
    if free:
        geometry = ct.VectorGeometry.of(geometry)
    count = geometry.shape[0]
    first, last = unmeasured_directions(geometry, (0.0, 0.0), np.ones(count, dtype=np.bool_))
    _, along = geometry.rays()
    along = along.reshape(count, -1, along.shape[-1])
    middle = along[:, along.shape[1] // 2]
    degrees = np.rad2deg(np.arctan2(middle[:, 1], middle[:, 0])) % 180
    step = 180 / VIEWS * (1 if beam == "parallel" else 2)
    turned = np.sort(np.mod(degrees - first, 180))
    if last == first:
        assert np.diff(np.append(np.sort(degrees), np.sort(degrees)[0] + 180)).max() < 3 * step
        return
    # The middle column is beside the axis, so a ray may lean a little into the wedge.
    lean = math.degrees(0.05)
    inside = (turned > lean) & (turned < last - first - lean)
    assert not inside.any()
    assert last - first > LEAST_DEG
    assert np.abs(np.mod(degrees - last + 90, 180) - 90).min() < lean


def test_views_of_which_no_ray_counts_are_no_views() -> None:
    geometry = scan("parallel", slice(None)).geometry
    assert geometry is not None
    seen = np.ones(VIEWS, dtype=np.bool_)
    assert unmeasured_directions(geometry, (0.0, 0.0), seen) == (0.0, 0.0)
    seen[20:45] = False
    first, last = unmeasured_directions(geometry, (0.0, 0.0), seen)
    assert last - first == pytest.approx(26 * 180 / VIEWS)
    assert unmeasured_directions(geometry, (0.0, 0.0), np.zeros(VIEWS, dtype=np.bool_)) == (0.0, 0.0)


@pytest.mark.long
def test_a_certificate_of_a_limited_angle_says_little_and_one_of_a_whole_turn_does_not() -> None:
    for views, said in ((slice(None), False), (slice(0, 24), True)):
        result = ct.reconstruct(scan("parallel", views), delta="auto", method="huber-tv")
        assert result.certificate is not None
        assert any("in no datum" in why for why in worth_of(result.certificate).little) == said
