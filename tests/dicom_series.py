"""A small series on disk, for the tests of what is written and checked."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ctrecon.dicom.series.study import study_of
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.delta import Delta
from ctrecon.outputs.series import SeriesTarget
from ctrecon.reconstruction.conclude import Conclusion, conclude
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.problem import prepare
from ctrecon.simulation.simulate import simulate

GRID = Grid(rows=40, columns=56, pixel_mm=0.7071067811865476)
GIVEN = {
    "PatientID": "P-17", "PatientName": "Müller^Žofie", "StudyDescription": "Kopf <nativ>", "StudyDate": "20240229"
}  # fmt: skip
Z_MM = (-12.5, -10.0, -7.5)


def letter(slices: int = 0) -> npt.NDArray[np.float32]:
    """An F in 1/mm, which no mirror image or turn leaves as it is; a bar of ``slices`` pixels tells slices apart."""
    image = np.zeros(GRID.shape, dtype=np.float32)
    image[8:32, 14:18] = 0.02
    image[8:12, 14:40] = 0.03
    image[18:22, 14:30] = 0.025
    image[27:31, 34 : 36 + 3 * slices] = 0.015
    return image


@functools.cache
def results(slices: int) -> tuple[Conclusion, ...]:
    return tuple(reconstruct(letter(k)) for k in range(slices))


def reconstruct(image: npt.NDArray[np.float32], *, share: float = 1.02, photons: float | None = None) -> Conclusion:
    """CGLS on a scan of ``image``, down to ``share`` of the true residual."""
    scanner = FanBeam(
        angles_rad=tuple(np.linspace(0, 2 * np.pi, 50, endpoint=False)), detector_count=72, detector_spacing_mm=1.4,
        source_to_axis_mm=150, source_to_detector_mm=300,
    )  # fmt: skip
    made = simulate(image, scanner, GRID, relative_noise=0.02, photons=photons)
    bound = made.delta if photons is None else made.whitened_delta
    assert bound is not None
    delta = Delta(value=share * bound, norm="2-norm" if photons is None else "whitened", how="true")
    problem = prepare(made.scan, delta)
    return conclude(problem, cgls(problem))


def write(folder: Path, slices: int = 3, **options: object) -> Path:
    """A series of ``slices`` with a patient of :data:`GIVEN`."""
    options = {"study": study_of(None, GIVEN), "pictures": False, **options}
    target = SeriesTarget(folder=folder, **options)  # type: ignore[arg-type]
    target.write(results(slices), method="cgls", z_mm=Z_MM[:slices], thickness_mm=2.5)
    return folder


def need(tool: str) -> str:
    """The path of a program, or a skip that says which Debian package has it."""
    package = {
        "dciodvfy": "dicom3tools", "dcentvfy": "dicom3tools", "dcmconv": "dcmtk", "pdftotext": "poppler-utils",
    }.get(tool, tool)  # fmt: skip
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed (Debian package {package})")
    return path


def errors_of(path: Path) -> list[str]:
    """What dciodvfy calls an error in a file."""
    ran = subprocess.run([need("dciodvfy"), path], capture_output=True, check=False)
    said = (ran.stdout + ran.stderr).decode(errors="replace")
    return re.findall(r"^.*Error.*$", said, flags=re.MULTILINE)


def dicom_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))
