"""Whether the certificates of a stack are of a scan: every slice is read again as the manifest says, and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.certificates.against_scan import difference
from ctrecon.certificates.verify import FILES, Verdict, require
from ctrecon.errors import SettingError
from ctrecon.io.slices import HowRead, open_stack
from ctrecon.io.turns import TURNS
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.stack.check import OfSlice
from ctrecon.outputs.stack.manifest import NAME, WHOLE, read_manifest
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.text import printable
from ctrecon.workbench.verify_scan import Reading, compare

_NEAR = 1e-6
"""Of the distance between slices: what rounding may move one."""
_READ = ("geometry", "detectors_first", "every", "center", "correct", "patient_position", "image")


@dataclass(frozen=True, kw_only=True)
class AgainstScan:
    """How each slice is compared, and ``said``: what the scan does not tell and the manifest does, as a clause."""

    of_slice: OfSlice
    said: str = ""


def compare_stack(reading: Reading, evidence: Path) -> AgainstScan:
    """As ``compare_rows``; of a volume with one certificate the whole scan at once.

    Raises:
        Refused: As ``compare_rows``.
        SettingError: As ``compare_rows``.
        InputError: What cannot be read.
    """
    if read_manifest(NAME, (evidence / NAME).read_bytes()).whole is None:
        return compare_rows(reading, evidence)

    def of_volume(verdict: Verdict, k: int) -> None:
        compare(verdict, evidence / (WHOLE + FILES[""]), reading)

    return AgainstScan(of_slice=of_volume)


def compare_rows(reading: Reading, evidence: Path) -> AgainstScan:
    """For every slice of a stack: raises Refused where its certificate is not of its row of the scan.

    How the scan was read is taken from the manifest, but for names of files, which are given again. So is how far rows
    are apart, of which a scan may say nothing or something else; then that is said.

    Raises:
        Refused: The scan has other slices, or they stand elsewhere.
        SettingError: The scan is no file, or its geometry was a file and is not given.
        InputError: What cannot be read.
    """
    if isinstance(reading.scan, Scan):
        raise SettingError("a stack is compared with the file that it was made from; give its name")
    manifest = read_manifest(NAME, (evidence / NAME).read_bytes())
    told = Settings.from_dict(manifest.settings)
    how: dict[str, Any] = {name: getattr(told, name) for name in _READ}
    stated = how["geometry"]
    if stated is not None and stated not in TURNS and "geometry" not in reading.given:
        raise SettingError("its geometry came from another file; name the one to trust with --geometry (geometry=...)")
    how |= {name: value for name, value in reading.given.items() if name in _READ}
    how["every"] = how["every"] or 1
    step = manifest.step_mm[0]
    spacing = step if manifest.shape[0] > 1 else None
    source = open_stack(reading.scan, HowRead(spacing_mm=spacing, **how))
    z, own = np.array([one["z_mm"] for one in manifest.slices]), np.array(source.z_mm)
    require(len(own) == len(z), f"the scan has {len(own)} slices, not {len(z)}")
    where = f"its slices stand from z = {z[0]:g} to {z[-1]:g}, those of the scan from {own[0]:g} to {own[-1]:g}"
    require(bool((np.abs(z - own) <= _NEAR * step).all()), where)
    said = ""
    if source.shared and spacing is not None:  # rows of a detector, which stand still
        rows = open_stack(reading.scan, HowRead(**how)).z_mm
        apart = rows[1] - rows[0]
        if abs(apart - step) > _NEAR * step:
            said = f"; that slices are {step:g} apart is the manifest's word: rows of the scan are {apart:g}"
    if told.patient_position is not None and "patient_position" not in reading.given:
        said += f"; that the patient lay {printable(told.patient_position)[:20]} is the manifest's word"

    def of_slice(verdict: Verdict, k: int) -> None:
        scan = source.read(k)
        fault = difference(verdict, scan)
        require(not fault, f"its data are not those of {reading.name}, slice {k + 1}: {fault}")
        here, there = (printable(one)[:20] or "unknown" for one in (manifest.patient_position, scan.patient_position))
        require(here == there, f"the manifest says that the patient lay {here}, the scan {there}")

    return AgainstScan(of_slice=of_slice, said=said)
