"""One small sound file or folder for every reader there is; ``tests/fuzz_files.py`` mutates them.

``test_fuzz_files.py`` demands one of every format and of every suffix that a reader takes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import format_files as made
import fuzz_readers
import h5py
import linac_files as linac
import numpy as np
import scipy.sparse
import SimpleITK
import tifffile
import zarr
from balls import ball
from dicom_files import ct, save
from PIL import Image
from scipy.io import savemat
from walnut_files import tube
from zeiss_files import cone, txrm

from ctrecon.dicom.images.images import read_volume
from ctrecon.dicom.raw.synthesise import Protocol, synthesise
from ctrecon.io.arrays import read_scan
from ctrecon.io.nifti import read_stored_volume
from ctrecon.io.pictures import read_picture
from ctrecon.io.sidecar import read_geometry_file
from ctrecon.io.volume_names import VOLUME_SUFFIXES
from ctrecon.phantoms.solids import Body, Ellipsoid

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Source:
    """``build`` writes into an empty folder and says what is given to ``read``."""

    name: str
    build: Callable[[Path], Path]
    read: Read
    costs: int = 1
    """Of so many cases one is tried: a file that cannot be small."""


def _plain(path: Path) -> object:
    return read_scan(path)


def _centred(path: Path) -> object:
    return read_scan(path, center=11.5)


def _whole(path: Path) -> object:
    return read_scan(path, all_rows=True)


def sources() -> list[Source]:
    """All of them, by name."""
    built = [Source(one.__name__.strip("_"), one, read, _COSTS.get(one, 1)) for one, read in _BUILDERS.items()]
    pictures = [_picture(suffix, mode) for suffix, mode in _PICTURES]
    return [*built, *_single_files(), *(_volume(suffix) for suffix in VOLUME_SUFFIXES), *pictures]


def _single_files() -> list[Source]:
    """Those of ``fuzz_readers.py``."""

    def of(name: str, content: bytes, read: Read) -> Source:
        def build(folder: Path) -> Path:
            (folder / name).write_bytes(content)
            return folder / name

        return Source(f"file {name}", build, read)

    with tempfile.TemporaryDirectory() as folder:
        return [of(*one) for one in fuzz_readers.seeds(Path(folder))]


def _volume(suffix: str) -> Source:
    def build(folder: Path) -> Path:
        values = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(folder / f"v{suffix}"))
        return folder / f"v{suffix}"

    return Source(f"volume {suffix}", build, read_stored_volume)


def _picture(suffix: str, mode: str) -> Source:
    def build(folder: Path) -> Path:
        levels = (np.random.default_rng(0).random((12, 16, 3)) * 255).astype(np.uint8)
        path = folder / f"p{suffix}"
        if suffix.startswith(".nii"):
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(levels[..., 0].astype(np.int16)), str(path))
        elif mode == "RGB;16":
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(levels.astype(np.uint16) * 200, isVector=True), str(path))
        else:
            Image.fromarray(levels).convert(mode).save(path)
        return path

    return Source(f"picture {suffix} {mode}", build, read_picture)


def _dicom_picture(folder: Path) -> Path:
    return save(folder / "p.dcm", ct(0))


def _tiff_folder(folder: Path) -> Path:
    made.put_tiffs(folder / "scan", made.stack(made.line_integrals(made.parallel()), 1), "p")
    made.put_tiffs(folder / "scan", made.constant(made.WHITE), "white")
    made.put_tiffs(folder / "scan" / "dark", made.constant(made.DARK), "")
    (folder / "scan" / "angles.txt").write_text(" ".join(str(5.0 * k) for k in range(made.VIEWS)))
    return folder / "scan"


def _tiff_stack(folder: Path) -> Path:
    lines = made.line_integrals(made.parallel())
    tifffile.imwrite(folder / "scan.tif", made.stack(lines, 1), photometric="minisblack", compression="zlib")
    tifffile.imwrite(folder / "flat.tif", made.constant(made.WHITE), photometric="minisblack")
    np.save(folder / "angles.npy", 5.0 * np.arange(made.VIEWS))
    return folder / "scan.tif"


def _nikon(folder: Path) -> Path:
    return made.nikon(folder / "a", made.corrected(made.line_integrals(made.fan()), made.WHITE))


def _skyscan(folder: Path) -> Path:
    made.put_tiffs(folder, made.corrected(made.line_integrals(made.fan()), 65535), "rod")
    (folder / "rod.log").write_text(
        "[System]\nScanner=SkyScan1172\n[Acquisition]\nFilename Prefix=rod\nNumber Of Files= 36\n"
        "Optical Axis (line)=   2\nObject to Source (mm)=60\nCamera to Source (mm)=90\nRotation Step (deg)=10.000\n"
        "Image Pixel Size (um)= 666.7\nRotation Direction=CC\nScanning Trajectory=ROUND\n"
    )
    return folder / "rod.log"


def _rtk(folder: Path) -> Path:
    lines = made.line_integrals(made.fan())
    return made.rtk(folder / "a", np.repeat(lines[:, None], made.ROWS, axis=1), made.fan())


def _nxtomo(folder: Path) -> Path:
    return made.nxtomo(folder / "a.nxs", made.line_integrals(made.parallel()))


def _cil(folder: Path) -> Path:
    return made.cil(folder / "b.nxs", made.line_integrals(made.fan()), made.fan())


def _data_exchange(folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        for name, value in (("data", 900), ("data_white", 1000), ("data_dark", 3)):
            file.create_dataset(f"exchange/{name}", data=np.full((12, 2, 16), value, np.uint16), chunks=(4, 2, 16),
                                compression="gzip")  # fmt: skip
        file["exchange/theta"] = np.arange(12.0) * 15
    return folder / "x.h5"


def _edf(folder: Path) -> Path:
    for k, frame in enumerate(made.stack(made.line_integrals(made.parallel()), 1)):
        made.edf(folder / f"rock{k:04d}.edf", frame)
    made.edf(folder / "ref0000.edf", made.constant(made.WHITE)[0])
    made.edf(folder / "dark.edf", made.constant(made.DARK)[0])
    (folder / "rock.info").write_text("Prefix= rock\nScanRange= 180\nTOMO_N= 36\nPixelSize= 1000\n")
    return folder / "rock.info"


def _obi(folder: Path) -> Path:
    return linac.obi(folder / "obi", linac.cone())


def _true_beam(folder: Path) -> Path:
    return linac.true_beam(folder / "beam", linac.cone(), air=True)


def _xvi(folder: Path) -> Path:
    return linac.xvi(folder / "xvi")[0]


def _zeiss(folder: Path) -> Path:
    return txrm(folder / "z.txrm", ball(cone()))


def _walnut(folder: Path) -> Path:
    return tube(folder / "tubeV1")


def _two_detect(folder: Path) -> Path:
    inner = folder / "slice00002" / "mode1"
    inner.mkdir(parents=True)
    whole = np.full((3601, 1912), 20000, np.uint16)
    whole[:, 800:1100] = 9000
    tifffile.imwrite(inner / "sinogram.tif", whole, compression="zlib")
    for name, value in (("dark", 300), ("flat1", 50200), ("flat2", 50400)):
        tifffile.imwrite(inner / f"{name}.tif", np.full((1, 1912), value, np.uint16))
    return inner


def _raw(folder: Path) -> Path:
    values = np.rint(60000 * np.exp(-made.line_integrals(made.fan()))).astype("<u2")
    raw = {"type": "uint16", "order": "little", "shape": list(values.shape), "offset": 16, "white": 60000}
    (folder / "a.raw").write_bytes(bytes(16) + values.tobytes())
    (folder / "a.json").write_text(json.dumps({**made.fan().to_dict(), "raw": raw}))
    return folder / "a.raw"


def _sidecar(folder: Path) -> Path:
    np.save(folder / "a.npy", np.ones((12, 16), np.float32))
    np.savez(folder / "b.npz", v=np.ones((12, 16)))
    says = {**fuzz_readers.GEOMETRY, "arrays": {"sinogram": "a.npy", "variance": "b.npz:v"}, "bad_columns": [3]}
    (folder / "a.json").write_text(json.dumps(says))
    return folder / "a.npy"


def _geometry(folder: Path) -> Path:
    (folder / "g.json").write_text(json.dumps(made.fan().to_dict()))
    return folder / "g.json"


def _matlab_73(folder: Path) -> Path:
    with h5py.File(folder / "m.mat", "w", userblock_size=512) as file:
        file["sinogram"] = np.ones((16, 12))
    (folder / "m.json").write_text(json.dumps(fuzz_readers.GEOMETRY))
    return folder / "m.mat"


def _helsinki(folder: Path) -> Path:
    about = {"angles": np.arange(12.0) * 30, "pixelSize": 0.2, "distanceSourceOrigin": 400.0, "distanceUnit": "mm",
             "distanceSourceDetector": 550.0}  # fmt: skip
    savemat(folder / "h.mat", {"CtDataFull": {"sinogram": np.ones((12, 16)), "parameters": about}})
    return folder / "h.mat"


def _matrix(folder: Path) -> Path:
    A = scipy.sparse.random(24, 16, 0.5, random_state=0, format="csc")
    savemat(folder / "A.mat", {"A": A, "m": np.ones((4, 6))})
    return folder / "A.mat"


def _zarr_3(folder: Path) -> Path:
    return _zarr(folder, 3)


def _zarr_2(folder: Path) -> Path:
    return _zarr(folder, 2)


def _zarr(folder: Path, version: int) -> Path:
    group = zarr.open_group(str(folder / "a.zarr"), mode="w", zarr_format=version)
    for name, values in (("counts", np.full((12, 17), 900, np.uint16)), ("white", np.full(17, 1000.0))):
        one = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=values.shape)
        one[...] = values
    group.attrs["geometry"] = made.fan(angles_rad=tuple(np.arange(12) * 0.5), detector_count=17).to_dict()
    return folder / "a.zarr"


def _dicom_raw(folder: Path) -> Path:
    body = Body((Ellipsoid(center=(0, 0, 0), semi_axes=(60, 50, 90), value=0.02),))
    synthesise(folder / "raw", body, Protocol(rows=4, columns=48, column_pitch_mm=16, per_turn=36, turns=1, feed_mm=0))
    return folder / "raw"


def _dicom_images(folder: Path) -> Path:
    return save(folder / "ct", *(ct(k) for k in range(3)))


_PICTURES = ((".nii", ""), (".nii.gz", ""), (".png", "RGB"), (".png", "RGB;16"), (".tif", "RGB;16"), (".jpg", "L"),
             (".gif", "P"), (".bmp", "RGB"), (".webp", "RGB"))  # fmt: skip
_COSTS = {_two_detect: 3}
_BUILDERS: dict[Callable[[Path], Path], Read] = {
    _tiff_folder: _centred, _tiff_stack: _centred, _nikon: _plain, _skyscan: _plain, _rtk: _plain, _nxtomo: _centred,
    _cil: _plain, _data_exchange: _centred, _edf: _centred, _obi: _whole, _true_beam: _whole, _xvi: _whole,
    _zeiss: _whole, _walnut: _whole, _two_detect: _plain, _raw: _plain, _sidecar: _plain,
    _geometry: read_geometry_file, _matlab_73: _plain, _helsinki: _plain, _matrix: _plain, _zarr_3: _plain,
    _zarr_2: _plain, _dicom_raw: _plain, _dicom_images: read_volume,
    _dicom_picture: read_picture,
}  # fmt: skip
