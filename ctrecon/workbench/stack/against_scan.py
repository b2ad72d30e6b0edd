"""Whether the certificates of a stack are of a scan: every slice is read again as the manifest says, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrecon.certificates.against_scan import difference
from ctrecon.certificates.verify import FILES, Verdict, require
from ctrecon.errors import SettingError
from ctrecon.io.slices import HowRead, open_stack
from ctrecon.io.turns import TURNS
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.stack.check import OfSlice
from ctrecon.outputs.stack.manifest import NAME, WHOLE, read_manifest
from ctrecon.reconstruction.settings import Settings
from ctrecon.workbench.verify_scan import Reading, compare

_READ = ("geometry", "detectors_first", "every", "center", "correct", "patient_position", "image")


def compare_stack(reading: Reading, evidence: Path) -> OfSlice:
    """As ``compare_rows``; of a volume with one certificate the whole scan at once.

    Raises:
        SettingError: As ``compare_rows``.
        InputError: What cannot be read.
    """
    if read_manifest(NAME, (evidence / NAME).read_bytes()).whole is None:
        return compare_rows(reading, evidence)

    def of_volume(verdict: Verdict, k: int) -> None:
        compare(verdict, evidence / (WHOLE + FILES[""]), reading)

    return of_volume


def compare_rows(reading: Reading, evidence: Path) -> OfSlice:
    """For every slice of a stack: raises Refused where its certificate is not of its row of the scan.

    How the scan was read is taken from the manifest, but for names of files, which are given again.

    Raises:
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
    spacing = manifest.step_mm[0] if manifest.shape[0] > 1 else None
    source = open_stack(reading.scan, HowRead(spacing_mm=spacing, **how))
    require(len(source.z_mm) == manifest.shape[0], f"the scan has {len(source.z_mm)} slices, not {manifest.shape[0]}")

    def of_slice(verdict: Verdict, k: int) -> None:
        fault = difference(verdict, source.read(k))
        require(not fault, f"its data are not those of {reading.name}, slice {k + 1}: {fault}")

    return of_slice
