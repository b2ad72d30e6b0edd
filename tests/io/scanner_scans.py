"""Scans as scanners write them, with the files behind each that hold words."""

from __future__ import annotations

from pathlib import Path

import format_files as made
import linac_files as linac
import numpy as np
from balls import ball
from walnut_files import tube
from zeiss_files import cone, txrm


def scans(folder: Path) -> dict[str, tuple[Path, list[Path]]]:
    """What is given to the reader, and the files behind it."""
    flat, fan = made.line_integrals(made.parallel()), made.line_integrals(made.fan())
    tiff = folder / "tiff"
    made.put_tiffs(tiff, made.stack(flat, 1), "p")
    made.put_tiffs(tiff, made.constant(made.WHITE), "white")
    (tiff / "angles.txt").write_text(" ".join(str(5.0 * k) for k in range(made.VIEWS)))
    nikon = made.nikon(folder / "nikon", made.corrected(fan, made.WHITE))
    rtk = made.rtk(folder / "rtk", np.repeat(fan[:, None], made.ROWS, axis=1), made.fan())
    nexus = made.nxtomo(folder / "a.nxs", flat)
    cil = made.cil(folder / "b.nxs", fan, made.fan())
    (folder / "edf").mkdir()
    for k, frame in enumerate(made.stack(flat, 1)):
        made.edf(folder / "edf" / f"rock{k:04d}.edf", frame)
    made.edf(folder / "edf" / "ref0000.edf", made.constant(made.WHITE)[0])
    info = folder / "edf" / "rock.info"
    info.write_text("Prefix= rock\nScanRange= 180\nTOMO_N= 36\nPixelSize= 1000\n")
    cones = _cones(folder)
    return cones | {
        "tiff": (tiff, [tiff / "p3.tif", tiff / "white0.tif", tiff / "angles.txt"]),
        "nikon": (nikon, [nikon, nikon.with_name("part_0002.tif")]),
        "rtk": (rtk, [rtk, rtk.with_name("projections.mha")]),
        "nxtomo": (nexus, [nexus]),
        "cil": (cil, [cil]),
        "edf": (info, [info, info.with_name("rock0003.edf"), info.with_name("ref0000.edf")]),
    }


def _cones(folder: Path) -> dict[str, tuple[Path, list[Path]]]:
    """Those that are read as volumes, too, of few views."""
    varian, beam = linac.obi(folder / "obi", linac.cone()), linac.true_beam(folder / "beam", linac.cone())
    elekta, _ = linac.xvi(folder / "xvi")
    zeiss = txrm(folder / "z.txrm", ball(cone()))
    orbit = tube(folder / "tubeV1")
    return {
        "obi": (varian, [varian / "Proj_00002.hnd", varian / "ProjectionInfo.xml"]),
        "true beam": (beam, [beam / "Proj_00002.xim", beam / "Proj_00003.xim", beam.parents[1] / "Scan.xml"]),
        "xvi": (elekta, [elekta / "00002.his", elekta / "_Frames.xml"]),
        "zeiss": (zeiss, [zeiss]),
        "walnut": (orbit, [orbit / "scan_000003.tif", orbit / "scan_geom_corrected.geom"]),
    }
