"""RTK's geometry in space is that of its own projection matrices, and its volumes are read the right way round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from balls import ball, noisy, shows_every_turn

from ctrecon.errors import InputError
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.io.arrays import read_scan

ROWS, COLUMNS, SPACING = 18, 24, (2.0, 2.5)
PLAIN = [{"GantryAngle": 10.0 * k, "ProjectionOffsetX": 1.5, "ProjectionOffsetY": -2.0} for k in range(36)]
FREE = [
    {"GantryAngle": 13.0 * k, "ProjectionOffsetX": 1.5 * np.sin(k), "ProjectionOffsetY": -2 * np.cos(k),
     "OutOfPlaneAngle": 3 + 0.1 * k, "InPlaneAngle": 5 - 0.2 * k, "SourceOffsetX": 0.3 * k - 2,
     "SourceOffsetY": 1 - 0.2 * k, "SourceToIsocenterDistance": 100.0 + k}
    for k in range(20)
]  # fmt: skip


def matrix(one: dict) -> np.ndarray:
    """RTK's, from a place in its room to the image: translation, magnification, source, rotation."""
    far, near = one.get("SourceToIsocenterDistance", 100.0), one.get("SourceToDetectorDistance", 150.0)
    names = ("GantryAngle", "OutOfPlaneAngle", "InPlaneAngle")
    y, x, z = (-np.deg2rad(one.get(name, 0.0)) for name in names)
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    shift = np.array([one.get("SourceOffsetX", 0.0), one.get("SourceOffsetY", 0.0)])
    offset = np.array([one.get("ProjectionOffsetX", 0.0), one.get("ProjectionOffsetY", 0.0)])
    source = np.hstack([np.eye(3), [[-shift[0]], [-shift[1]], [0.0]]])
    enlarge = np.array([[-near, 0, 0, 0], [0, -near, 0, 0], [0, 0, 1, -far]])
    place = np.array([[1, 0, shift[0] - offset[0]], [0, 1, shift[1] - offset[1]], [0, 0, 1]])
    whole = np.eye(4)
    whole[:3, :3] = about_z @ about_x @ about_y
    return place @ enlarge @ np.vstack([source, [0, 0, 0, 1]]) @ whole


def written(folder: Path, views: list[dict], frames: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    image = SimpleITK.GetImageFromArray(frames.astype(np.float32))
    image.SetSpacing((*SPACING, 1.0))
    image.SetOrigin((-(COLUMNS - 1) / 2 * SPACING[0], -(ROWS - 1) / 2 * SPACING[1], 0.0))
    SimpleITK.WriteImage(image, str(folder / "projections.mha"))
    common = "<SourceToIsocenterDistance>100</SourceToIsocenterDistance>"
    common += "<SourceToDetectorDistance>150</SourceToDetectorDistance>"
    text = "".join("<Projection>" + "".join(f"<{key}>{value}</{key}>" for key, value in one.items()) + "</Projection>"
                   for one in views)  # fmt: skip
    path = folder / "geometry.xml"
    path.write_text(f'<?xml version="1.0"?><RTKThreeDCircularGeometry>{common}{text}</RTKThreeDCircularGeometry>')
    return path


@pytest.mark.parametrize("views", [PLAIN, FREE], ids=["circle", "free"])
def test_a_place_falls_where_rtks_matrices_say(tmp_path, views):
    geometry = read_scan(written(tmp_path, views, np.zeros((len(views), ROWS, COLUMNS))), all_rows=True).geometry
    vectors = geometry.to_vectors()
    place = np.array([6.0, -3.0, 2.0])
    ours = place[[0, 2, 1]] * [1, 1, -1]
    for k, one in enumerate(views):
        image = matrix(one) @ [*place, 1.0]
        way, normal = ours - vectors.source[k], np.cross(vectors.u[k], vectors.v[k])
        reach = ((vectors.detector[k] - vectors.source[k]) @ normal) / (way @ normal)
        found = vectors.source[k] + reach * way - vectors.detector[k]
        # The image's middle is at 0, and our columns and rows run the other way.
        np.testing.assert_allclose([-found @ vectors.u[k], -found @ vectors.v[k]], image[:2] / image[2], atol=1e-9)


@pytest.mark.parametrize("views", [PLAIN, FREE], ids=["circle", "free"])
def test_a_volume_is_read_the_right_way_round(tmp_path, views):
    path = written(tmp_path, views, np.zeros((len(views), ROWS, COLUMNS)))
    frames = noisy(ball(read_scan(path, all_rows=True).geometry))[:, ::-1, ::-1]
    scan = read_scan(written(tmp_path, views, frames), all_rows=True)
    shows_every_turn(scan.geometry, scan.sinogram, 1e-4)
    assert scan.in_space
    coarse = read_scan(path, all_rows=True, bin=2)
    assert coarse.sinogram.shape == (len(views), ROWS // 2, COLUMNS // 2)
    np.testing.assert_allclose(coarse.sinogram.mean(), scan.sinogram.mean())
    assert np.abs(coarse.sinogram - ball(coarse.geometry)).max() < 0.12
    with pytest.raises(InputError, match="cannot be added up in 5s"):
        read_scan(path, all_rows=True, bin=5)
    with pytest.raises(InputError, match="drop --row 3"):
        read_scan(path, all_rows=True, row=3)


def test_one_row_of_a_bent_orbit_is_refused_with_the_remedy(tmp_path):
    path = written(tmp_path, FREE, np.zeros((len(FREE), ROWS, COLUMNS)))
    with pytest.raises(InputError, match=r"OutOfPlaneAngle is not 0, .* read the volume by --all-rows"):
        read_scan(path)
    assert isinstance(read_scan(path, all_rows=True).geometry, VectorsInSpace)


def test_all_rows_are_for_formats_that_have_them(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 5)))
    with pytest.raises(InputError, match=r"--all-rows is for projections of Nikon \.xtekct"):
        read_scan(tmp_path / "a.npy", geometry="parallel-180", all_rows=True)
    with pytest.raises(InputError, match="bin must be a whole number >= 1, got 0"):
        read_scan(tmp_path / "a.npy", geometry="parallel-180", bin=0)
