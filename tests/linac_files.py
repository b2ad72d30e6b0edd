"""Scans of Varian's and Elekta's treatment machines, written as their formats say."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from balls import ball, noisy

from ctrecon.geometry.cone import ConeBeam

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
