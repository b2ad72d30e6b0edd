"""Files of scanners and collections, written as they are documented, of a disc whose line integrals are exact."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import SimpleITK
import tifffile

from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam

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


def nxtomo(path: Path, expected: np.ndarray, *, keys=None) -> Path:
    whole = np.concatenate([constant(DARK), constant(WHITE), stack(expected, 1), constant(7, 1)])
    with h5py.File(path, "w") as file:
        file["entry/instrument/detector/data"] = whole
        file["entry/instrument/detector/image_key"] = [2, 2, 1, 1, *[0] * VIEWS, 3] if keys is None else keys
        angle = file.create_dataset("entry/sample/rotation_angle", data=[0.0] * 4 + [5.0 * k for k in range(37)])
        angle.attrs["units"] = "degree"
    return path


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


def edf(path: Path, frame: np.ndarray, order: str = "<") -> None:
    kind = "LowByteFirst" if order == "<" else "HighByteFirst"
    header = (f"{{\nHeaderID = EH:000001:000000:000000 ;\nByteOrder = {kind} ;\nDataType = UnsignedShort ;\n"
              f"Dim_1 = {frame.shape[1]} ;\nDim_2 = {frame.shape[0]} ;\nSize = {frame.nbytes} ;\n")  # fmt: skip
    path.write_bytes(header.encode().ljust(1022) + b"}\n" + frame.astype(order + "u2").tobytes())
