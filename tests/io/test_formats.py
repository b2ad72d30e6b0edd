"""Files of scanners and collections, written here as documented: each is read in its place, or refused politely."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
import tifffile

from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.operators.choose import choose_operator

VIEWS, ROWS, CELLS, WHITE, DARK = 36, 4, 24, 4000, 100
DISC_MM, MU = 3.0, 0.05


def fan(**changes) -> FanBeam:
    values = {"angles_rad": tuple(np.arange(VIEWS) * 2 * np.pi / VIEWS), "detector_count": CELLS,
              "detector_spacing_mm": 1.0, "source_to_axis_mm": 60.0, "source_to_detector_mm": 90.0}  # fmt: skip
    return FanBeam(**(values | changes))


def parallel(**changes) -> ParallelBeam:
    values = {"angles_rad": tuple(np.arange(VIEWS) * np.pi / VIEWS), "detector_count": CELLS,
              "detector_spacing_mm": 1.0}  # fmt: skip
    return ParallelBeam(**(values | changes))


def line_integrals(geometry, centre=(4.0, 1.5)) -> np.ndarray:
    """Of a disc beside the axis, exactly: nothing can be turned, mirrored or shifted unnoticed."""
    vectors = geometry.to_vectors()
    cells = np.arange(geometry.detector_count) - (geometry.detector_count - 1) / 2
    place = vectors.detector[:, None, :2] + cells[None, :, None] * vectors.column_mm * vectors.u[:, None, :2]
    if vectors.parallel:
        rays = np.broadcast_to(vectors.source[:, None, :2], place.shape)
        start = place
    else:
        start = np.broadcast_to(vectors.source[:, None, :2], place.shape)
        rays = place - start
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    away = np.array(centre) - start
    near = away[..., 0] * rays[..., 1] - away[..., 1] * rays[..., 0]
    return 2 * MU * np.sqrt(np.maximum(DISC_MM**2 - near**2, 0))


def counts(sinogram: np.ndarray) -> np.ndarray:
    return np.rint(DARK + (WHITE - DARK) * np.exp(-sinogram)).astype(np.uint16)


def stack(sinogram: np.ndarray, row: int) -> np.ndarray:
    """``[views, rows, cells]``, in which only one row is the right one."""
    frames = np.full((VIEWS, ROWS, CELLS), WHITE, np.uint16)
    frames[:, row] = counts(sinogram)
    return frames


def constant(value: int, frames: int = 2) -> np.ndarray:
    return np.full((frames, ROWS, CELLS), value, np.uint16)


def close(scan, expected, tolerance=2e-3) -> bool:
    return scan.sinogram.shape == expected.shape and bool(np.abs(scan.sinogram - expected).max() < tolerance)


def put_tiffs(folder: Path, frames: np.ndarray, name: str) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for k, frame in enumerate(frames):
        tifffile.imwrite(folder / f"{name}{k}.tif", frame)


def test_a_folder_of_tiffs_with_white_dark_and_angles(tmp_path):
    expected = line_integrals(parallel())
    put_tiffs(tmp_path / "a", stack(expected, 1), "proj_")  # proj_2 before proj_10
    put_tiffs(tmp_path / "a", constant(WHITE), "white_")
    put_tiffs(tmp_path / "a" / "dark", constant(DARK), "")
    (tmp_path / "a" / "angles.txt").write_text("\n".join(str(5.0 * k) for k in range(VIEWS)))
    scan = read_scan(tmp_path / "a", center=(CELLS - 1) / 2)
    assert close(scan, expected)
    np.testing.assert_allclose(scan.geometry.angles_rad, parallel().angles_rad)
    assert any("angles.txt" in note for note in scan.notes)
    assert not close(read_scan(tmp_path / "a", center=11.5, row=2), expected)  # another row is another plane
    with pytest.raises(InputError, match="rows 0 to 3, not 4"):
        read_scan(tmp_path / "a", row=4)
    tifffile.imwrite(tmp_path / "a" / "proj_7.tif", np.zeros((3, 3), np.uint16))
    with pytest.raises(InputError, match=r"proj_7\.tif: holds a picture of \(3, 3\)"):
        read_scan(tmp_path / "a")


def test_one_tiff_of_many_pages_and_a_sinogram(tmp_path):
    expected = line_integrals(parallel())
    tifffile.imwrite(tmp_path / "scan.tif", stack(expected, 1), photometric="minisblack")
    with pytest.raises(InputError, match="no white frames"):
        read_scan(tmp_path / "scan.tif")
    tifffile.imwrite(tmp_path / "flat.tif", constant(WHITE), photometric="minisblack")
    tifffile.imwrite(tmp_path / "dark.tif", constant(DARK), photometric="minisblack")
    with pytest.raises(InputError, match="nothing says how"):
        read_scan(tmp_path / "scan.tif")
    assert close(read_scan(tmp_path / "scan.tif", geometry="parallel-180"), expected)
    tifffile.imwrite(tmp_path / "b.tif", expected.astype(np.float32))
    assert close(read_scan(tmp_path / "b.tif", geometry="parallel-180"), expected, 1e-6)
    (tmp_path / "c.tif").write_bytes((tmp_path / "b.tif").read_bytes()[:200])
    with pytest.raises(InputError, match=r"c\.tif"):
        read_scan(tmp_path / "c.tif", geometry="parallel-180")


def test_angles_of_another_number_or_in_radians(tmp_path):
    put_tiffs(tmp_path / "a", stack(line_integrals(parallel()), 1), "p")
    put_tiffs(tmp_path / "a", constant(WHITE), "white")
    (tmp_path / "a" / "theta.txt").write_text("0 1 2")
    with pytest.raises(InputError, match="3 angles for 36 views"):
        read_scan(tmp_path / "a")
    (tmp_path / "a" / "theta.txt").write_text(" ".join(str(a) for a in parallel().angles_rad))
    scan = read_scan(tmp_path / "a", center=11.5)
    np.testing.assert_allclose(scan.geometry.angles_rad, parallel().angles_rad)
    assert any("radians" in note for note in scan.notes)


def nxtomo(path: Path, expected: np.ndarray, *, keys=None) -> Path:
    whole = np.concatenate([constant(DARK), constant(WHITE), stack(expected, 1), constant(7, 1)])
    with h5py.File(path, "w") as file:
        file["entry/instrument/detector/data"] = whole
        file["entry/instrument/detector/image_key"] = [2, 2, 1, 1, *[0] * VIEWS, 3] if keys is None else keys
        angle = file.create_dataset("entry/sample/rotation_angle", data=[0.0] * 4 + [5.0 * k for k in range(37)])
        angle.attrs["units"] = "degree"
    return path


def test_nxtomo(tmp_path):
    expected = line_integrals(parallel())
    scan = read_scan(nxtomo(tmp_path / "a.nxs", expected), center=11.5)
    assert close(scan, expected)
    np.testing.assert_allclose(scan.geometry.angles_rad, parallel().angles_rad)
    assert any("1 frames that are called invalid" in note for note in scan.notes)
    for keys, said in (([0] * 41, "0 flat frames"), ([0] * 3, "3 keys")):
        with pytest.raises(InputError, match=said):
            read_scan(nxtomo(tmp_path / "b.nxs", expected, keys=keys))


def cil(path: Path, values: np.ndarray, geometry, *, origin="bottom-left", shift=0.0) -> Path:
    """As NEXUSDataWriter writes it: positions in its own frame, the object turned by the angles."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("entry1/tomo_entry/data/data", data=values.astype(np.float32))
        cone = hasattr(geometry, "source_to_axis_mm")
        names = ["angle", "vertical", "horizontal"] if values.ndim == 3 else ["angle", "horizontal"]
        data.attrs.update({f"dim{k}": name for k, name in enumerate(names)})
        data.attrs.update({"geometry": "cone" if cone else "parallel", "pixel_size_h": 1.0, "pixel_size_v": 1.0,
                           "panel_origin": origin, "data_type": "AcquisitionData"})  # fmt: skip
        size = values.ndim
        config = file.create_group("entry1/tomo_entry/config")
        axis = geometry.source_to_axis_mm if cone else 0.0
        behind = geometry.source_to_detector_mm - axis if cone else 0.0
        config["detector/position"] = [geometry.detector_offset_mm + shift, behind, 0.0][:size]
        config["detector/direction_x"] = [1.0, 0, 0][:size]
        config["rotation_axis/position"] = [shift, 0, 0][:size]
        if cone:
            config["source/position"] = [shift, -axis, 0][:size]
        angles = config.create_dataset("angles", data=-np.rad2deg(geometry.angles_rad) - 10)
        angles.attrs.update({"angle_unit": "degree", "initial_angle": 10.0})
    return path


@pytest.mark.parametrize("geometry", [fan(detector_offset_mm=0.7), parallel(detector_offset_mm=-0.4)])
def test_cil(tmp_path, geometry):
    expected = line_integrals(geometry)
    scan = read_scan(cil(tmp_path / "a.nxs", expected, geometry, shift=2.5))
    assert close(scan, expected, 1e-5)
    np.testing.assert_allclose(line_integrals(scan.geometry), expected, atol=1e-4)
    turned = read_scan(cil(tmp_path / "b.nxs", expected[:, ::-1], geometry, origin="bottom-right"))
    assert close(turned, expected, 1e-5)
    whole = np.stack([expected] * 3, axis=1)
    assert close(read_scan(cil(tmp_path / "c.nxs", whole, geometry)), expected, 1e-5)


def test_lodopab(tmp_path):
    values = np.zeros((3, 1000, 513), np.float32)
    half = np.hypot(260, 260) / 2
    geometry = ParallelBeam(angles_rad=tuple((np.arange(1000) + 0.5) * np.pi / 1000), detector_count=513,
                            detector_spacing_mm=2 * half / 513)  # fmt: skip
    values[1] = line_integrals(geometry) / 81.35858
    with h5py.File(tmp_path / "observation_test_000.hdf5", "w") as file:
        file.create_dataset("data", data=values, chunks=(1, 1000, 513))
    scan = read_scan(tmp_path / "observation_test_000.hdf5", image=1)
    assert close(scan, line_integrals(geometry), 1e-5)
    assert scan.grid.shape == (362, 362)
    assert scan.grid.size_mm == pytest.approx((260, 260))
    np.testing.assert_allclose(line_integrals(scan.geometry), line_integrals(geometry), atol=1e-9)
    assert any("--image" in note for note in read_scan(tmp_path / "observation_test_000.hdf5").notes)
    for ask, said in (({"image": 3}, "images 0 to 2, not 3"), ({"row": 1}, "--image")):
        with pytest.raises(InputError, match=said):
            read_scan(tmp_path / "observation_test_000.hdf5", **ask)


def nikon(folder: Path, frames: np.ndarray, **changes) -> Path:
    values = {"Name": "part", "Projections": VIEWS, "DetectorPixelsX": CELLS, "DetectorPixelsY": ROWS,
              "DetectorPixelSizeX": 1.0, "DetectorPixelSizeY": 1.0, "SrcToObject": 60.0, "SrcToDetector": 90.0,
              "InitialAngle": 180.0, "AngularStep": 10.0, "WhiteLevel": WHITE} | changes  # fmt: skip
    folder.mkdir(exist_ok=True)
    for k, frame in enumerate(frames):
        tifffile.imwrite(folder / f"part_{k + 1:04d}.tif", frame)
    path = folder / "part.xtekct"
    path.write_text("[XTekCT]\n" + "".join(f"{key}={value}\n" for key, value in values.items()))
    return path


def corrected(sinogram: np.ndarray, white: int) -> np.ndarray:
    frames = np.full((VIEWS, ROWS, CELLS), white, np.uint16)
    frames[:, 1:3] = np.rint(white * np.exp(-sinogram)).astype(np.uint16)[:, None]
    return frames


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


def rtk(folder: Path, frames: np.ndarray, geometry, **more) -> Path:
    folder.mkdir(exist_ok=True)
    image = SimpleITK.GetImageFromArray(frames.astype(np.float32))
    image.SetSpacing((1.0, 1.0, 1.0))
    image.SetOrigin((-(CELLS - 1) / 2, -(ROWS - 1) / 2, 0.0))
    SimpleITK.WriteImage(image, str(folder / "projections.mha"))
    common = {"SourceToIsocenterDistance": 60, "SourceToDetectorDistance": 90} | more
    text = "".join(f"<{key}>{value}</{key}>" for key, value in common.items())
    text += "".join(f"<Projection><GantryAngle>{(180 - np.rad2deg(a)) % 360}</GantryAngle></Projection>"
                    for a in geometry.angles_rad)  # fmt: skip
    path = folder / "geometry.xml"
    path.write_text(f'<?xml version="1.0"?><RTKThreeDCircularGeometry version="3">{text}</RTKThreeDCircularGeometry>')
    return path


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


def test_raw_with_a_sidecar(tmp_path):
    expected = line_integrals(fan())
    says = {"geometry": "fan", "angles_rad": list(fan().angles_rad), "detector_spacing_mm": 1.0,
            "source_to_axis_mm": 60, "source_to_detector_mm": 90}  # fmt: skip
    raw = {"type": "uint16", "order": "big", "shape": [VIEWS, CELLS], "offset": 16, "white": 60000}
    values = np.rint(60000 * np.exp(-expected)).astype(">u2")
    (tmp_path / "a.raw").write_bytes(bytes(16) + values.tobytes())
    (tmp_path / "a.json").write_text(json.dumps({**says, "raw": raw}))
    scan = read_scan(tmp_path / "a.raw")
    assert close(scan, expected, 1e-4)
    assert scan.geometry == fan()
    (tmp_path / "a.json").write_text(json.dumps({**says, "raw": {**raw, "shape": [VIEWS, CELLS + 1]}}))
    with pytest.raises(InputError, match="correct the entry raw"):
        read_scan(tmp_path / "a.raw")
    (tmp_path / "a.json").write_text(json.dumps(says))
    with pytest.raises(InputError, match='needs the entry "raw"'):
        read_scan(tmp_path / "a.raw")


def edf(path: Path, frame: np.ndarray, order: str = "<") -> None:
    kind = "LowByteFirst" if order == "<" else "HighByteFirst"
    header = (f"{{\nHeaderID = EH:000001:000000:000000 ;\nByteOrder = {kind} ;\nDataType = UnsignedShort ;\n"
              f"Dim_1 = {frame.shape[1]} ;\nDim_2 = {frame.shape[0]} ;\nSize = {frame.nbytes} ;\n")  # fmt: skip
    path.write_bytes(header.encode().ljust(1022) + b"}\n" + frame.astype(order + "u2").tobytes())


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


def test_detectors_before_views(tmp_path):
    """As scikit-image's radon has it: turned where the geometry says so."""
    geometry = parallel()
    expected = line_integrals(geometry)
    says = {"geometry": "parallel", "angles_rad": list(geometry.angles_rad), "detector_spacing_mm": 1.0}
    (tmp_path / "a.json").write_text(json.dumps(says))
    np.save(tmp_path / "a.npy", expected.T)
    scan = read_scan(tmp_path / "a.npy")
    assert close(scan, expected, 1e-6)
    assert any("[detectors, views], and turned" in note for note in scan.notes)
    np.save(tmp_path / "a.npy", expected)
    plain = read_scan(tmp_path / "a.npy")
    np.testing.assert_array_equal(plain.sinogram, scan.sinogram)
    assert not any("turned" in note for note in plain.notes)
    np.save(tmp_path / "a.npy", expected[:, :-1].T[:, :-1])
    with pytest.raises(InputError):
        read_scan(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", expected.T)
    assert close(read_scan(tmp_path / "b.npy", geometry=geometry), expected, 1e-6)


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


def test_the_disc_of_these_tests_is_where_the_operator_sees_it():
    """The line integrals above and the library's own projector agree, so a wrong convention here would be seen."""
    import torch

    from ctrecon.geometry.grid import Grid

    grid = Grid(rows=120, columns=120, pixel_mm=0.2)
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    image = MU * ((x - 4) ** 2 + (y - 1.5) ** 2 < DISC_MM**2)
    for geometry in (fan(detector_offset_mm=0.7), parallel()):
        operator = choose_operator(geometry, grid)
        seen = operator(torch.from_numpy(image[None, None].astype(np.float32)))[0, 0].numpy()
        assert np.abs(seen - line_integrals(geometry)).max() < 0.06
        assert np.abs(seen[:, ::-1] - line_integrals(geometry)).max() > 0.15
