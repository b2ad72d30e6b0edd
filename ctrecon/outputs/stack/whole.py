"""A volume with one certificate, of a cone beam, in the formats of stacks, with its evidence and manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrecon.certificates.verify import FILES
from ctrecon.errors import InputError
from ctrecon.io.unoriented import unoriented_notes
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.history import SUFFIX, history_of
from ctrecon.outputs.millimetres import need_pixels, need_tissue
from ctrecon.outputs.stack.formats import load_format
from ctrecon.outputs.stack.manifest import WHOLE, Manifest
from ctrecon.outputs.stack.store import StackTarget, places_of, water_of
from ctrecon.outputs.stack.volume_file import HU
from ctrecon.reconstruction.pieces import files_of
from ctrecon.support.beside import history_sha256
from ctrecon.support.versions import versions

if TYPE_CHECKING:
    from ctrecon.reconstruction.conclude import Conclusion


def accept_whole(scan: Scan, target: StackTarget) -> None:
    """Before any work.

    Args:
        scan: As it was read.
        target: Where its volume shall go.

    Raises:
        InputError: Where the scan is of one slice, or HU are asked of lengths that are not in mm.
    """
    if not scan.in_space:
        raise InputError(f"{scan.source}: has one slice, and {target.path.name} is for volumes; write -o NAME.npy")
    if load_format(target.suffix).values == HU:
        need_pixels(scan, target.path.name)


def write_whole(target: StackTarget, result: Conclusion) -> dict[str, Path]:
    """Write volume, evidence and manifest, all of it or nothing.

    Args:
        target: Checked.
        result: Of a scan in space.

    Returns:
        The paths by what they are.

    Raises:
        OutputError: The disk is full, or the like.
        InputError: Where HU make no sense.
    """
    form = load_format(target.suffix)
    scan, grid = result.problem.scan, result.problem.grid
    assert grid is not None
    if form.values == HU:
        need_tissue(scan, [result.image], target.path.name, target.water_mu)
    files = files_of(result)
    sums = {part: hashlib.sha256(raw).hexdigest() for part, raw in files.items()}
    z = tuple(grid.z_mm.tolist())
    first, step = places_of(z, grid)
    certified = result.certificate is not None
    worth = result.worth
    history = history_of(result, sums["image"]).to_bytes()
    manifest = Manifest(
        shape=(result.image.shape[0], result.image.shape[1], result.image.shape[2]), first_mm=first, step_mm=step,
        length_unit=scan.length_unit, values=HU if form.values == HU else f"attenuation in {scan.units.attenuation}",
        volume=target.path.name, slices=tuple({"z_mm": at} for at in z),
        whole={
            "status": "certified" if certified else "not certified", "image_sha256": sums["image"],
            "certificate_sha256": sums.get(""), "delta": result.problem.delta.value, "norm": result.problem.delta.norm,
            "residual": result.residual, "reason": result.outcome.reason, "files": sorted(sums),
            "says_nothing": [] if worth is None else list(worth.nothing),
            "says_little": [] if worth is None else list(worth.little), "history_sha256": history_sha256(history),
        },
        settings={} if result.settings is None else result.settings.to_dict(), source=Path(scan.source).name,
        notes=(*scan.notes, *unoriented_notes(target.path.name, scan.patient_position)),
        water_mu_per_mm=water_of(form.values, target.water_mu, scan.water(None)),
        patient_position=scan.patient_position, range=(float(np.min(result.image)), float(np.max(result.image))),
        made_with=versions(),
    )  # fmt: skip
    evidence = {WHOLE + FILES[part]: raw for part, raw in files.items()}
    evidence[WHOLE + SUFFIX] = history
    return target.write_whole(manifest, evidence, result.image)
