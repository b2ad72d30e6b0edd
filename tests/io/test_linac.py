"""Varian's and Elekta's pictures, written here as their formats say, come out the right way round or are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from balls import ball, noisy, shows_every_turn

from ctrecon.errors import InputError
from ctrecon.geometry.cone import ConeBeam
from ctrecon.io.arrays import read_scan
from ctrecon.io.varian_pixels import unpacked

VIEWS, ROWS, COLUMNS, OPEN = 24, 20, 28, 60000
GANTRY = np.arange(VIEWS) * 15.0


def cone(**changes) -> ConeBeam:
    values = {
        "angles_rad": tuple(np.deg2rad(180 - GANTRY)), "detector_count": COLUMNS, "detector_rows": ROWS,
        "detector_spacing_mm": 2.0, "detector_row_spacing_mm": 2.5, "source_to_axis_mm": 1000.0,
        "source_to_detector_mm": 1500.0, "detector_offset_mm": -3.0, "detector_row_offset_mm": 1.5,
    }  # fmt: skip
    return ConeBeam(**(values | changes))


def packed(picture: np.ndarray) -> tuple[bytes, bytes, bytes]:
    """Table, plain pixels and differences, each in as few bytes as hold it."""
    flat, width = picture.reshape(-1).astype(np.int64), picture.shape[1]
    later = np.arange(width + 1, flat.size)
    differences = flat[later] - flat[later - 1] - flat[later - width] + flat[later - width - 1]
    codes = np.where(np.abs(differences) < 128, 0, np.where(np.abs(differences) < 32768, 1, 2))
    both = zip(differences, codes, strict=True)
    body = b"".join(int(d).to_bytes((1, 2, 4)[c], "little", signed=True) for d, c in both)
    codes = np.pad(codes, (0, -codes.size % 4)).reshape(-1, 4)
    table = (codes << [0, 2, 4, 6]).sum(axis=1).astype(np.uint8).tobytes()
    return table, flat[: width + 1].astype("<i4").tobytes(), body


def hnd(path: Path, picture: np.ndarray, angle: float) -> None:
    head = bytearray(1024)
    struct.pack_into("<2I", head, 120, picture.shape[1], picture.shape[0])
    for index, value in ((23, 2.0), (24, 2.5), (33, angle)):
        struct.pack_into("<d", head, 168 + 8 * index, value)
    path.write_bytes(bytes(head) + b"".join(packed(picture)))


def xim(path: Path, picture: np.ndarray, *, compress: bool = True, **properties: float) -> None:
    rows, columns = picture.shape
    out = b"VMS.XI\0\0" + struct.pack("<6i", 1, columns, rows, 32, 4, int(compress))
    if compress:
        table, first, body = packed(picture)
        out += struct.pack("<i", len(table)) + table + struct.pack("<i", len(first + body)) + first + body
        out += struct.pack("<i", 4 * picture.size)
    else:
        out += struct.pack("<i", 4 * picture.size) + picture.astype("<i4").tobytes()
    out += struct.pack("<2i", 1, 7)  # a histogram
    out += struct.pack("<i", 1 + len(properties)) + struct.pack("<i4si", 4, b"Text", 2) + struct.pack("<i3s", 3, b"abc")
    for name, value in properties.items():
        out += struct.pack("<i", len(name)) + name.encode() + struct.pack("<id", 1, value)
    path.write_bytes(out)


def his(path: Path, picture: np.ndarray) -> None:
    head = bytearray(68)
    head[:4] = b"\0pD\0"
    struct.pack_into("<H", head, 10, 32)  # more of the header
    struct.pack_into("<5H", head, 12, 1, 1, picture.shape[0], picture.shape[1], 1)
    head[32] = 4
    path.write_bytes(bytes(head) + bytes(32) + picture.astype("<u2").tobytes())


def frames(geometry: ConeBeam) -> np.ndarray:
    """As the file has them: columns and rows against ours."""
    return np.rint(OPEN * np.exp(-noisy(ball(geometry), 1e-4)))[:, ::-1, ::-1].astype(np.int64)


def obi(folder: Path, geometry: ConeBeam, fan: str = "HalfFan") -> Path:
    folder.mkdir()
    for k, picture in enumerate(frames(geometry)):
        hnd(folder / f"Proj_{k:05}.hnd", picture, GANTRY[k])
    (folder / "ProjectionInfo.xml").write_text(
        "<Geometry><CalibratedSAD>1000</CalibratedSAD><CalibratedSID>1500</CalibratedSID>"
        "<CalibratedDetectorOffsetX>1</CalibratedDetectorOffsetX><DetectorPosLat>2</DetectorPosLat>"
        f"<CalibratedDetectorOffsetY>-1.5</CalibratedDetectorOffsetY><FanType>{fan}</FanType></Geometry>"
    )
    return folder


def true_beam(folder: Path, geometry: ConeBeam, *, air: bool = False) -> Path:
    inner = folder / "Acquisitions" / "1"
    inner.mkdir(parents=True)
    monitor = 100.0 + np.arange(VIEWS)
    more = {"PixelWidth": 0.2, "PixelHeight": 0.25, "KVDetectorLat": 0.3, "KVDetectorLng": -0.15}
    for k, picture in enumerate(frames(geometry)):
        bright = np.rint(picture * monitor[k] / 100).astype(np.int64)
        xim(inner / f"Proj_{k:05}.xim", bright, compress=k % 2 == 0, KVSourceRtn=180 - GANTRY[k],
            KVNormChamber=monitor[k], **more)  # fmt: skip
    (inner / "Proj_00099.xim").write_bytes(b"VMS.XI\0\0" + struct.pack("<6i", 1, 0, 0, 32, 4, 0) + bytes(12))
    (folder / "Scan.xml").write_text(
        '<Scan xmlns="http://baseline.oncology.varian.com"><Acquisitions><SAD>1000</SAD><SID>1500</SID></Acquisitions></Scan>'
    )
    if air:
        for age in ("Current", "Factory"):
            place = folder / "Calibrations" / "AIR-Half-Bowtie" / age
            place.mkdir(parents=True)
            bright = 2 if age == "Current" else 3
            xim(place / "FilterBowtie.xim", np.full((ROWS, COLUMNS), bright * OPEN), KVNormChamber=200.0, **more)
    return inner


def xvi(folder: Path) -> tuple[Path, ConeBeam]:
    panel = 409.6
    geometry = cone(detector_spacing_mm=panel / COLUMNS, detector_row_spacing_mm=panel / ROWS,
                    source_to_detector_mm=1536.0)  # fmt: skip
    folder.mkdir()
    expected = np.abs(noisy(ball(geometry, radius=60.0, mu=0.005), 1e-4))
    for k, lines in enumerate(expected[:, ::-1, ::-1]):
        his(folder / f"{k:05}.his", np.rint(65536 - 65536 * np.exp(-lines)))
    place = "<UCentre>-3</UCentre><VCentre>1.5</VCentre>"
    text = "".join(f"<Frame><Seq>{k}</Seq><GantryAngle>{a}</GantryAngle>{place}</Frame>" for k, a in enumerate(GANTRY))
    (folder / "_Frames.xml").write_text(f"<ImageInfo><Frames>{text}</Frames></ImageInfo>")
    return folder, geometry


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
