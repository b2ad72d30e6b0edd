"""[detectors, views] is turned where the geometry says so, asked about where only the data do, and taken as asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from skimage.transform import radon

from ctrecon.cli.main import cli
from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse

N = 40
SCENE = Phantom((Ellipse(center=(2.0, -1.0), semi_axes=(10.0, 7.0), value=0.02),))


def parallel(views=N, cells=N):
    return ParallelBeam(angles_rad=tuple(np.arange(views) * np.pi / views), detector_count=cells)


def fan(views=N, cells=N):
    turn = tuple(np.arange(views) * 2 * np.pi / views)
    return FanBeam(angles_rad=turn, detector_count=cells, detector_spacing_mm=2.0,
                   source_to_axis_mm=60.0, source_to_detector_mm=110.0)  # fmt: skip


def lines(geometry):
    return SCENE.sinogram(geometry) + 1e-3 * np.random.default_rng(0).standard_normal(geometry.shape)


@pytest.mark.parametrize("views", [N, 60, 25])
def test_where_nothing_says_the_number_of_views_the_data_are_asked(tmp_path, views):
    values = lines(parallel(views))
    np.save(tmp_path / "a.npy", values.T)
    with pytest.raises(InputError, match=r"its columns look like views .* say --detectors-first, or --views-first"):
        read_scan(tmp_path / "a.npy", geometry="parallel-180")
    scan = read_scan(tmp_path / "a.npy", geometry="parallel-180", detectors_first=True)
    np.testing.assert_array_equal(scan.sinogram, values)
    assert any("as asked, taken as [detectors, views]" in note for note in scan.notes)
    assert read_scan(tmp_path / "a.npy", geometry="parallel-180", detectors_first=False).sinogram.shape == (N, views)
    np.save(tmp_path / "b.npy", values)
    np.testing.assert_array_equal(read_scan(tmp_path / "b.npy", geometry="parallel-180").sinogram, values)


@pytest.mark.parametrize("geometry", [parallel(), fan()], ids=["parallel", "fan"])
def test_a_square_that_its_geometry_fits_either_way(tmp_path, geometry):
    values = lines(geometry)
    (tmp_path / "a.json").write_text(json.dumps(geometry.to_dict()))
    np.save(tmp_path / "a.npy", values.T)
    with pytest.raises(InputError, match="its columns look like views"):
        read_scan(tmp_path / "a.npy")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.npy", detectors_first=True).sinogram, values)
    np.save(tmp_path / "a.npy", values)
    assert not any("turned" in note for note in read_scan(tmp_path / "a.npy").notes)


def test_scikit_images_radon_is_asked_about(tmp_path):
    y, x = np.mgrid[:48, :48] - 23.5
    image = ((x / 18) ** 2 + (y / 12) ** 2 < 1) * 0.02
    np.save(tmp_path / "a.npy", radon(image, np.arange(90) * 2.0, circle=True))
    with pytest.raises(InputError, match="48 x 90 values"):
        read_scan(tmp_path / "a.npy", geometry="parallel-180")


@pytest.mark.parametrize("values", [np.random.default_rng(1).random((N, N)), np.ones((N, N)), np.zeros((N, N))])
def test_what_tells_nothing_is_taken_as_it_is(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    assert read_scan(tmp_path / "a.npy", geometry="parallel-180").sinogram.shape == (N, N)


def test_our_own_files_and_the_commands(tmp_path):
    values = lines(parallel())
    np.savez(tmp_path / "own.npz", sinogram=values.T, geometry=json.dumps(parallel().to_dict()))
    read_scan(tmp_path / "own.npz")  # its geometry was written with it
    np.save(tmp_path / "a.npy", values.T)
    line = ["info", str(tmp_path / "a.npy"), "--geometry", "parallel-180"]
    asked = CliRunner().invoke(cli, line)
    assert asked.exit_code != 0
    done = CliRunner().invoke(cli, [*line, "--detectors-first"])
    assert done.exit_code == 0, done.output
    assert "as asked, taken as [detectors, views]" in done.output
    assert CliRunner().invoke(cli, [*line, "--views-first"]).exit_code == 0


def test_a_volume_has_no_such_order(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 5, 6)))
    says = {"geometry": "parallel-rows", "angles_deg": [0, 1, 2, 3], "detector_rows": 5, "detector_spacing_mm": 1.0}
    (tmp_path / "a.json").write_text(json.dumps(says))
    with pytest.raises(InputError, match="drop --detectors-first"):
        read_scan(tmp_path / "a.npy", detectors_first=True)
