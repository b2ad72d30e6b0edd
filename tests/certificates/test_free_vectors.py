"""Certificates that state each view and where the image stands; and those written before there were any."""

from pathlib import Path

import numpy as np
import pytest
import stranger
from certificate_cases import GEOMETRIES, forge, written

from ctrecon.certificates import verify

STORED = sorted((Path(__file__).parent / "stored").glob("*.certificate.json"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name.split(".")[0])
def test_certificates_of_the_first_days_stay_valid(path):
    verdict = verify.check(path)
    assert verdict.valid, verdict.reason
    assert stranger.check(path) == verdict.statement


def test_there_are_such_certificates():
    assert len(STORED) == 3


def geometry(**more):
    return lambda v: v["operator"]["geometry"].update(more)


def grid(**more):
    return lambda v: v["operator"]["grid"].update(more)


def entry(name, view, value):
    return lambda v: v["operator"]["geometry"][name].__setitem__(view, value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["operator"]["geometry"]["source"].reverse(),
        lambda v: v["operator"]["geometry"]["detector_mm"].append([0.0, 45.0]),
        lambda v: v["operator"]["geometry"].pop("detector_radius_mm"),
        lambda v: v["operator"]["grid"].pop("centre_mm"),
        entry("source", 2, [1.0, 2.0, 3.0]), entry("source", 2, [1.0]), entry("source", 2, 1.0),
        entry("source", 2, [1.0, 2e9]), entry("source", 2, ["1", 2.0]), entry("source", 2, [True, 2.0]),
        entry("detector_axis", 0, [2.0, 0.0]), entry("detector_axis", 0, [0.0, 0.0]),
        geometry(parallel=True), geometry(parallel=0), geometry(detector_radius_mm=-45.0),
        geometry(detector_radius_mm=40.0), geometry(detector_radius_mm=0.0), geometry(detector_count=16),
        geometry(angles_rad=[0.0] * 8), geometry(geometry="fan"), geometry(source=[]),
        grid(centre_mm=[0.7, -1.0]), grid(centre_mm=[0.7]), grid(centre_mm=[0.7, -1.1, 0.0]), grid(centre_mm=None),
        grid(pixel_mm=[0.3, 0.55]), grid(pixel_mm=0.55), grid(pixel_mm=[0.55, 0.3, 0.3]), grid(pixel_mm=[0.0, 0.3]),
        grid(slices=3), grid(rows=14, columns=9),
    ],
)  # fmt: skip
def test_what_is_changed_is_refused(change, tmp_path):
    path = written("free arc", tmp_path)[""]
    assert verify.check(path).valid

    def changed(v):
        change(v)
        v["image"]["pixel_mm"] = v["operator"]["grid"].get("pixel_mm")

    verdict = verify.check(forge(path, changed))
    assert not verdict.valid
    assert "Error" not in verdict.reason.replace("malformed content (TypeError", "").replace(
        "malformed content (ValueError", ""
    )


def test_a_source_in_its_own_arc_is_refused(tmp_path):
    path = written("free arc", tmp_path)[""]

    def changed(v):
        stated = v["operator"]["geometry"]
        middle, axis = np.array(stated["detector_mm"][0]), np.array(stated["detector_axis"][0])
        stated["source"][0] = (middle + 3 * axis).tolist()

    assert not verify.check(forge(path, changed)).valid


def test_a_direction_of_another_length_is_the_same_ray_but_not_stated_so(tmp_path):
    path = written("free parallel", tmp_path)[""]

    def longer(v):
        stated = v["operator"]["geometry"]
        stated["source"] = (2 * np.array(stated["source"])).tolist()

    assert "number from" in verify.check(forge(path, longer)).reason


def test_the_statement_says_that_views_are_stated(tmp_path):
    for case in ("free arc", "free fan", "free parallel"):
        assert not hasattr(GEOMETRIES[case][0], "source_to_axis_mm")
        folder = tmp_path / case
        folder.mkdir()
        assert "of the geometry stated here view by view" in verify.check(written(case, folder)[""]).statement
