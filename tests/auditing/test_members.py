"""Further images of the same data: each is proved, and they lie apart where the data see little, and only there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.auditing.evidence import Evidence, read_evidence
from ctrecon.auditing.members.gather import Gathered, gather_members
from ctrecon.auditing.members.ground import ground_of
from ctrecon.auditing.members.pushing import back_from, span
from ctrecon.auditing.members.spread import range_of, spots
from ctrecon.auditing.members.ways import ways
from ctrecon.auditing.regions import Ring
from ctrecon.errors import SettingError

SMALL: dict[str, Any] = {"radius": 2.5, "ring": Ring(gap=1, width=2)}


def geometry(degrees: float = 180.0, views: int = 24, cells: int = 48) -> ct.ParallelBeam:
    angles = np.radians(np.linspace(0, degrees, views, endpoint=False))
    return ct.ParallelBeam(angles_rad=tuple(angles), detector_count=cells, detector_spacing_mm=1.0)


def evidence(folder: Path, beam: ct.ParallelBeam, delta: str, noise: float = 0.002) -> Evidence:
    made = ct.simulate("chest", geometry=beam, grid=ct.Grid(rows=32, columns=32, pixel_mm=1.0), noise=noise, seed=4)
    result = ct.reconstruct(made.scan, method="huber-tv", delta=delta)
    assert result.certified
    result.save(folder / "s.npy", preview=False, overwrite=True)
    return read_evidence(folder / "s.npy")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Gathered]:
    found = evidence(tmp_path_factory.mktemp("whole"), geometry(), "4%")
    return found, gather_members(found, count=8, **SMALL)


def test_every_member_that_counts_is_proved_and_its_residual_is_that_of_its_pixels(
    whole: tuple[Evidence, Gathered],
) -> None:
    known, found = whole
    assert len(found.counted) >= 7, [(one.name, one.residual) for one in found.tried]
    for member in found.counted:
        assert member.certificate is not None
        assert member.certificate.values["data"] == known.values["data"]
        assert member.certificate.values["operator"] == known.values["operator"]
        assert member.certificate.delta == known.delta
        residual = known.operator(_single(member.image)) - _single(known.data)
        assert float(residual.norm()) == pytest.approx(member.residual, rel=1e-4)
        assert member.residual <= known.delta


def test_the_numbers_are_those_of_the_images(whole: tuple[Evidence, Gathered]) -> None:
    known, found = whole
    images = [known.image, *(member.image for member in found.counted)]
    assert np.array_equal(found.range, range_of(images))
    stack = np.stack(images)
    assert np.allclose(found.range, stack.max(axis=0) - stack.min(axis=0))
    assert np.allclose(found.deviation, stack.std(axis=0), atol=1e-6)
    assert bool((found.deviation <= found.range / 2 + 1e-7).all())  # Popoviciu's inequality
    every = spots(images, **SMALL)
    assert len(every) == found.places
    assert found.spots[0].range == max(one.range for one in every)


def test_pushed_members_lie_further_apart_than_methods_do(whole: tuple[Evidence, Gathered]) -> None:
    known, found = whole
    place = found.spots[0].region.functional
    contrasts = {one.name: float(np.vdot(place, one.image)) for one in found.counted}
    own = float(np.vdot(place, known.image))
    pushed = max(abs(value - own) for name, value in contrasts.items() if name.startswith("pushed"))
    methods = max(abs(value - own) for name, value in contrasts.items() if name.startswith(("huber", "ct-", "dncnn")))
    assert pushed > 1.5 * methods


@pytest.mark.long
def test_a_larger_delta_leaves_more_open(whole: tuple[Evidence, Gathered], tmp_path: Path) -> None:
    tight = gather_members(evidence(tmp_path, geometry(), "0.8%"), count=5, **SMALL)
    assert len(tight.counted) == 5
    assert np.median(tight.range) < 0.5 * np.median(whole[1].range)


@pytest.mark.long
def test_what_no_ray_sees_stays_open(tmp_path: Path) -> None:
    known = evidence(tmp_path, geometry(degrees=40, cells=15), "5%")
    seen = known.operator.adjoint(_single(np.ones_like(known.data)))[0, 0].numpy()
    unseen = seen == 0
    assert unseen.sum() > 50
    ground = ground_of(known)
    image = back_from(ground, np.full(known.image.shape, span(ground)))[0, 0].numpy()
    assert np.allclose(image[unseen] - known.image[unseen], span(ground), rtol=1e-4)
    assert np.mean(np.abs(image - known.image)[~unseen]) < 0.5 * span(ground)
    found = gather_members(known, count=3, **SMALL)
    assert len(found.counted) == 3
    assert np.mean(found.range[unseen]) > 0.1 * span(ground)


@pytest.mark.long
def test_a_limited_angle_leaves_more_open(whole: tuple[Evidence, Gathered], tmp_path: Path) -> None:
    few = gather_members(evidence(tmp_path, geometry(degrees=60), "4%"), count=5, **SMALL)
    # Of five images, against eight: more images only leave more open.
    assert np.median(few.range) > 1.3 * np.median(whole[1].range)


def test_the_same_seed_gives_the_same_images_and_another_one_others(whole: tuple[Evidence, Gathered]) -> None:
    known, _ = whole
    one, again, other = (gather_members(known, count=3, seed=seed, **SMALL) for seed in (3, 3, 4))
    assert np.array_equal(one.range, again.range)
    assert not np.array_equal(one.tried[2].image, other.tried[2].image)


def test_ways_are_of_different_kinds_and_enough() -> None:
    names = [way.name for way in ways(40)]
    assert len(set(names)) == len(names) == 40
    kinds = {name.split()[0].rstrip(",") for name in names[:8]}
    assert kinds == {"huber-tv", "ct-default", "random", "pushed", "dncnn17", "cgls"}


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 41}, {"seed": -1}, {"discs": 0}, {"radius": 30.0},
                                   {"count": True}])  # fmt: skip
def test_numbers_out_of_range(whole: tuple[Evidence, Gathered], wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        gather_members(whole[0], **wrong)


def _single(values: Any) -> Any:
    from ctrecon.auditing.evidence import single

    assert math.isfinite(float(np.abs(values).max()))
    return single(values)
