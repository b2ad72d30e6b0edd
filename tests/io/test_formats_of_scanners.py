"""Scans as makers of scanners and laboratories leave them: each is read in its place, or refused politely."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from format_files import (
    CELLS,
    DARK,
    ROWS,
    VIEWS,
    WHITE,
    close,
    constant,
    corrected,
    edf,
    fan,
    line_integrals,
    nikon,
    parallel,
    put_tiffs,
    rtk,
    stack,
)

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan


def test_nikon(tmp_path):
    expected = line_integrals(fan())
    scan = read_scan(nikon(tmp_path / "a", corrected(expected[:, ::-1], WHITE)))
    assert close(scan, expected)
    np.testing.assert_allclose(line_integrals(scan.geometry), expected, atol=1e-9)
    with pytest.raises(InputError, match=r"row 0 of this cone beam is 1\.5 rows off"):
        read_scan(tmp_path / "a" / "part.xtekct", row=0)
    spoiled = corrected(expected[:, ::-1], WHITE)
    spoiled[3, :, 5] = 0
    scan = read_scan(nikon(tmp_path / "d", spoiled))
    assert scan.mask is not None
    assert np.argwhere(~scan.mask).tolist() == [[3, CELLS - 1 - 5]]
    (tmp_path / "a" / "part_0003.tif").unlink()
    with pytest.raises(InputError, match="36 projections, and 35 files"):
        read_scan(tmp_path / "a" / "part.xtekct")
    with pytest.raises(InputError, match="without a path"):
        read_scan(nikon(tmp_path / "b", [], Name="../x"))
    with pytest.raises(InputError, match="SrcToObject must be a number"):
        read_scan(nikon(tmp_path / "c", corrected(expected, WHITE), SrcToObject="far"))
    # What nobody can measure, or divide by.
    for k, changed in enumerate(({"SrcToObject": "0"}, {"SrcToDetector": "-0"}, {"AngularStep": "1e308"},
                                 {"SrcToObject": "1e-308"}, {"InitialAngle": "-9e18"})):  # fmt: skip
        with pytest.raises(InputError, match=f"{next(iter(changed))} must be a"):
            read_scan(nikon(tmp_path / f"n{k}", corrected(expected, WHITE), **changed))


def test_skyscan(tmp_path):
    geometry = fan(angles_rad=tuple(-np.arange(VIEWS) * 2 * np.pi / VIEWS))
    expected = line_integrals(geometry)
    put_tiffs(tmp_path / "a", [], "")
    for k, frame in enumerate(corrected(expected, 65535)):
        tifffile.imwrite(tmp_path / "a" / f"rod{k:04d}.tif", frame)
    log = tmp_path / "a" / "rod.log"
    log.write_text(
        "[System]\nScanner=SkyScan1172\n[Acquisition]\nFilename Prefix=rod\nNumber Of Files= 36\n"
        "Optical Axis (line)=   2\nObject to Source (mm)=60\nCamera to Source (mm)=90\nRotation Step (deg)=10.000\n"
        f"Image Pixel Size (um)= {2000 / 3}\nRotation Direction=CC\nScanning Trajectory=ROUND\n"
    )
    scan = read_scan(log, center=11.5)
    assert close(scan, expected, 1e-4)
    np.testing.assert_allclose(line_integrals(scan.geometry), expected, atol=1e-9)
    log.write_text(log.read_text().replace("ROUND", "HELIX"))
    with pytest.raises(InputError, match="'HELIX' is no circle"):
        read_scan(log)
    log.write_text("hello = 1")
    with pytest.raises(InputError, match="no log of a SkyScan"):
        read_scan(log)


def test_rtk(tmp_path):
    geometry = fan(detector_offset_mm=-0.75)
    expected = line_integrals(geometry)
    frames = np.zeros((VIEWS, ROWS, CELLS))
    frames[:, 1:3] = expected[:, None, ::-1]
    scan = read_scan(rtk(tmp_path / "a", frames, geometry, ProjectionOffsetX=0.75))
    assert close(scan, expected, 1e-5)
    np.testing.assert_allclose(line_integrals(scan.geometry), expected, atol=1e-9)
    with pytest.raises(InputError, match="InPlaneAngle is not 0"):
        read_scan(rtk(tmp_path / "b", frames, geometry, InPlaneAngle=1))
    bomb = ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><RTKThreeDCircularGeometry>&b;'
            "</RTKThreeDCircularGeometry>")  # fmt: skip
    (tmp_path / "b" / "geometry.xml").write_text(bomb)
    with pytest.raises(InputError, match="no XML that is read"):
        read_scan(tmp_path / "b" / "geometry.xml")


def test_edf(tmp_path):
    expected = line_integrals(parallel(detector_spacing_mm=1.0))
    for k, frame in enumerate(stack(expected, 1)):
        edf(tmp_path / f"rock{k:04d}.edf", frame, "<>"[k % 2])
    edf(tmp_path / "refHST0000.edf", constant(WHITE)[0])
    edf(tmp_path / "dark.edf", constant(DARK)[0])
    info = tmp_path / "rock.info"
    info.write_text("Energy= 30\nDistance= 50\nPrefix= rock\nScanRange= 180\nTOMO_N= 36\nPixelSize= 1000\n")
    scan = read_scan(info, center=11.5)
    assert close(scan, expected)
    np.testing.assert_allclose(line_integrals(scan.geometry), expected, atol=1e-9)
    (tmp_path / "rock0003.edf").write_bytes((tmp_path / "rock0003.edf").read_bytes()[:-50])
    with pytest.raises(InputError, match=r"rock0003\.edf: holds less than"):
        read_scan(info)
    (tmp_path / "rock0003.edf").unlink()
    with pytest.raises(InputError, match="says 36 views; 35 frames"):
        read_scan(info)


@pytest.mark.long
def test_2detect(tmp_path):
    folder = tmp_path / "slice00002" / "mode1"
    folder.mkdir(parents=True)
    geometry = fan(angles_rad=tuple(np.arange(3600) * 2 * np.pi / 3600), detector_count=956,
                   detector_spacing_mm=0.1496, detector_offset_mm=-0.1496, source_to_axis_mm=431.019989,
                   source_to_detector_mm=529.000488)  # fmt: skip
    expected = line_integrals(geometry, centre=(20.0, 7.5))
    whole = np.repeat(np.rint(300 + 50000 * np.exp(-np.vstack([expected, expected[:1]]))), 2, axis=1)
    tifffile.imwrite(folder / "sinogram.tif", whole.astype(np.uint16))
    for name, value in (("dark", 300), ("flat1", 50200), ("flat2", 50400)):
        tifffile.imwrite(folder / f"{name}.tif", np.full((1, 1912), value, np.uint16))
    scan = read_scan(folder)
    assert close(scan, expected, 1e-4)
    np.testing.assert_allclose(scan.geometry.detector_offset_mm, -0.1496)
    np.testing.assert_allclose(line_integrals(scan.geometry, centre=(20.0, 7.5)), expected, atol=1e-9)
    other = tmp_path / "slice03000" / "mode1"
    (tmp_path / "slice00002").rename(tmp_path / "slice03000")
    assert read_scan(other).geometry.detector_offset_mm == 0
    (tmp_path / "slice03000").rename(tmp_path / "x")
    with pytest.raises(InputError, match="lies in no folder slice00001"):
        read_scan(tmp_path / "x" / "mode1")
