"""All lengths in another unit, which values alone betray: named where they tell, and both where they do not."""

from __future__ import annotations

import dataclasses

import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.values_unit import values_unit
from ctrecon.diagnosis.suggestion import scaled
from ctrecon.measurement.scan import Scan

MM = {"m": 1000.0, "cm": 10.0, "um": 0.001, "inches": 25.4}


def scan_in(unit: str | None, phantom: str) -> Scan:
    scan = ct.simulate(phantom, size=64, views=48, noise=0.01, seed=8).scan
    if unit is None:
        return scan
    assert scan.geometry is not None
    return dataclasses.replace(scan, geometry=scaled(scan.geometry, 1 / MM[unit]), grid=None, image_shape=None)


@pytest.mark.parametrize("unit", MM)
@pytest.mark.parametrize("phantom", ["chest", "head"])
def test_what_is_like_water_names_its_unit_and_is_mended(unit: str, phantom: str) -> None:
    (found,) = values_unit(scan_in(unit, phantom))
    assert found.cause == f"lengths-in-{unit}"
    assert found.scan is not None
    assert found.scan.geometry is not None
    right = scan_in(None, phantom).geometry
    assert right is not None
    assert found.scan.geometry.detector_spacing_mm == pytest.approx(right.detector_spacing_mm)


def test_two_units_that_values_do_not_tell_apart_are_both_named_and_none_is_applied() -> None:
    (found,) = values_unit(scan_in("inches", "ellipses"))
    assert found.scan is None
    assert "in cm or in inches" in found.words or "in inches or in cm" in found.words


@pytest.mark.parametrize("phantom", ["chest", "ellipses", "head", "polygons", "seeds", "textured"])
def test_mm_are_left_alone(phantom: str) -> None:
    assert list(values_unit(scan_in(None, phantom))) == []
