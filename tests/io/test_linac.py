"""Varian's and Elekta's pictures, written here as their formats say, come out the right way round or are refused."""

from __future__ import annotations

import numpy as np
import pytest
from balls import ball, shows_every_turn
from linac_files import COLUMNS, GANTRY, ROWS, VIEWS, cone, his, hnd, obi, packed, true_beam, xvi

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.io.varian_pixels import unpacked


def test_pictures_are_unpacked_whatever_their_differences(tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 100, (13, 12)) * rng.choice([1, 300, 10**6], (13, 12))
    table, first, body = packed(picture)
    np.testing.assert_array_equal(unpacked(tmp_path, table, first, body, 13, 12), picture)
    with pytest.raises(InputError, match="bytes of differences where"):
        unpacked(tmp_path, table, first, body[:-5], 13, 12)
    with pytest.raises(InputError, match="table of differences is damaged"):
        unpacked(tmp_path, b"\xff" + table[1:], first, body, 13, 12)


@pytest.mark.parametrize("machine", ["obi", "true beam", "true beam with air"])
def test_varian(tmp_path, machine):
    geometry = cone()
    place = tmp_path / "a"
    folder = obi(place, geometry) if machine == "obi" else true_beam(place, geometry, air="air" in machine)
    scan = read_scan(folder, all_rows=True)
    np.testing.assert_allclose(scan.geometry.to_vectors().cells(), geometry.to_vectors().cells(), atol=1e-9)
    shows_every_turn(scan.geometry, scan.sinogram)
    note = "FilterBowtie.xim, scaled by the norm chamber" if "air" in machine else "no picture of the open beam"
    assert any(note in one for one in scan.notes)
    plane = read_scan(folder)  # the row in the source's plane, of pictures that are not centred
    assert plane.sinogram.shape == (VIEWS, COLUMNS)
    assert any("--all-rows reads the volume" in one for one in plane.notes)
    assert np.abs(plane.sinogram - scan.sinogram[:, 9]).max() < 1e-3
    assert read_scan(next(folder.glob("*.*m*")) if machine != "obi" else folder / "Proj_00000.hnd").sinogram.shape


def test_a_full_fan_of_varian_is_where_it_was_calibrated_to(tmp_path):
    geometry = cone(detector_offset_mm=-1.0)
    scan = read_scan(obi(tmp_path / "a", geometry, "FullFan"), all_rows=True)
    shows_every_turn(scan.geometry, scan.sinogram)
    assert scan.geometry.detector_offset_mm == -1


def test_elekta(tmp_path):
    folder, geometry = xvi(tmp_path / "a")
    scan = read_scan(folder, all_rows=True)
    expected = ball(geometry, radius=60.0, mu=0.005)
    np.testing.assert_allclose(scan.geometry.to_vectors().cells(), geometry.to_vectors().cells(), atol=1e-9)
    assert np.abs(scan.sinogram - expected).max() < 1e-3
    text = "".join(f"<Projection><GantryAngle>{a}</GantryAngle></Projection>" for a in GANTRY)
    (folder / "g.xml").write_text(
        "<RTKThreeDCircularGeometry><SourceToIsocenterDistance>1000</SourceToIsocenterDistance><SourceToDetectorDistance>"
        "1536</SourceToDetectorDistance><ProjectionOffsetX>3</ProjectionOffsetX><ProjectionOffsetY>-1.5</ProjectionOffsetY>"
        f"{text}</RTKThreeDCircularGeometry>"
    )
    again = read_scan(folder / "g.xml", all_rows=True)
    np.testing.assert_array_equal(again.sinogram, scan.sinogram)
    assert again.geometry == scan.geometry


def test_a_cell_that_was_not_measured_is_missing(tmp_path):
    folder, _ = xvi(tmp_path / "a")
    picture = np.random.default_rng(1).integers(100, 200, (ROWS, COLUMNS))
    picture[3, 4], picture[3, 5] = 65535, 0
    his(folder / "00003.his", picture)
    scan = read_scan(folder, all_rows=True)
    assert np.argwhere(~scan.mask).tolist() == [[3, ROWS - 4, COLUMNS - 5]]


@pytest.mark.parametrize(("name", "words"), [
    ("Proj_00003.hnd", r"Proj_00003\.hnd: claims 20 x 28 pixels in 1100 bytes|holds .* bytes of differences"),
    ("Proj_00003.xim", r"Proj_00003\.xim: (claims more|was cut off)"),
    ("00003.his", r"00003\.his: has 1100 bytes where 1 frames"),
])  # fmt: skip
def test_what_is_cut_off_is_refused_by_name(tmp_path, name, words):
    folder = {"hnd": lambda: obi(tmp_path / "a", cone()), "xim": lambda: true_beam(tmp_path / "a", cone()),
              "his": lambda: xvi(tmp_path / "a")[0]}[name[-3:]]()  # fmt: skip
    (folder / name).write_bytes((folder / name).read_bytes()[:1100])
    with pytest.raises(InputError, match=words):
        read_scan(folder, all_rows=True)


def test_what_does_not_belong_together_is_refused(tmp_path):
    folder = obi(tmp_path / "a", cone())
    (folder / "ProjectionInfo.xml").rename(folder / "other.txt")
    with pytest.raises(InputError, match=r"needs ProjectionInfo\.xml"):
        read_scan(folder)
    hnd(folder / "Proj_00003.hnd", np.ones((8, 8), int), 0.0)
    with pytest.raises(InputError, match=r"Proj_00003\.hnd: is 8 x 8 where the first is 20 x 28"):
        read_scan(folder)
    his(folder / "a.his", np.ones((4, 4)))
    with pytest.raises(InputError, match=r"files of \.his, \.hnd; keep one scan"):
        read_scan(folder)
    other, _ = xvi(tmp_path / "b")
    (other / "00001.his").unlink()
    with pytest.raises(InputError, match="says 24 projections, the stack holds 23"):
        read_scan(other)
    (other / "00002.his").write_bytes(bytes(5000))
    with pytest.raises(InputError, match=r"is no \.his file of version 100"):
        read_scan(other)
