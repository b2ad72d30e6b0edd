"""The tables of a report: geometry, run, iterations, and the commands that repeat the check."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping

import numpy as np

from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.outputs.history import History
from ctrecon.report.content import Content
from ctrecon.report.words import number

Rows = tuple[tuple[str, str], ...]

MOST_STEPS = 60
_METHODS = {
    "energy": "learned directions, bent downhill (energy dissipation)",
    "gradient": "gradient descent",
    "cgls": "conjugate gradients (CGLS)",
    "huber-tv": "Huber total variation",
    "fbp": "filtered back projection",
}
_TIMED = {
    "read": "reading the scan",
    "prepare": "preparing the operator",
    "reconstruct": "the reconstruction",
    "certificate": "the proof",
}


_BEAMS = {
    ParallelBeam: "parallel beam",
    FanBeam: "fan beam, flat detector",
    ArcFanBeam: "fan beam, detector on an arc about the source",
}


def geometry_rows(content: Content) -> Rows:
    geometry, grid = content.geometry, content.grid
    if geometry is None or grid is None:
        return ()
    angles = np.rad2deg(np.asarray(geometry.angles_rad))
    rows = [
        ("Beam", _BEAMS[type(geometry)]),
        ("Views", f"{angles.size}, from {number(float(angles[0]))}° to {number(float(angles[-1]))}°"),
        ("Detector", f"{geometry.detector_count} cells of {number(geometry.detector_spacing_mm)} mm"),
        ("Detector offset", f"{number(geometry.detector_offset_mm)} mm"),
    ]
    if not isinstance(geometry, ParallelBeam):
        rows += [
            ("Source to axis", f"{number(geometry.source_to_axis_mm, 6)} mm"),
            ("Source to detector", f"{number(geometry.source_to_detector_mm, 6)} mm"),
        ]
    rows += [
        ("Image", f"{grid.rows} × {grid.columns} pixels of {number(grid.pixel_mm)} mm"),  # noqa: RUF001
        ("Covers", f"{number(grid.columns * grid.pixel_mm)} × {number(grid.rows * grid.pixel_mm)} mm"),  # noqa: RUF001
    ]
    return tuple(rows)


def details(content: Content) -> Rows:
    """How the image was made, as far as its files tell."""
    history, source = content.history, (content.claim or {}).get("source")
    rows: list[tuple[str, str]] = []
    if isinstance(source, Mapping):
        rows.append(("Scan file", str(source.get("name"))))
    elif history is not None:
        rows.append(("Scan file", history.source))
    if history is None:
        return tuple(rows)
    rows += [
        ("Method", _METHODS.get(history.method, history.method or "not named")),
        ("Ended because", history.reason),
        ("Delta", f"{number(history.delta)} ({history.norm}; {history.delta_from})"),
        ("Projector", f"{history.projector} on {history.device}"),
    ]
    order = [*_TIMED, *(name for name in history.timings if name not in _TIMED)]
    timed = [(name, history.timings[name]) for name in order if name in history.timings]
    rows += [(f"Time for {_TIMED.get(name, name)}", f"{seconds:.2f} s") for name, seconds in timed]
    if history.seconds > 0:
        rows.append(("Time in all", f"{history.seconds:.2f} s"))
    return tuple(rows)


def lists(content: Content) -> tuple[str, ...]:
    """What was assumed of the scan, one sentence each."""
    return () if content.history is None else content.history.notes


def steps(history: History | None) -> tuple[tuple[int, str, str], ...]:
    """Iteration, residual and energy; of many a selection spread evenly, first and last among them."""
    if history is None:
        return ()
    progress = history.progress
    chosen = np.unique(np.linspace(0, max(len(progress) - 1, 0), min(len(progress), MOST_STEPS)).round().astype(int))

    def said(value: float) -> str:
        return number(value, 6) if math.isfinite(value) else "not finite"

    return tuple((progress[k].iteration, said(progress[k].residual), said(progress[k].energy)) for k in chosen)


def verify_commands(content: Content) -> tuple[tuple[str, str], ...]:
    """What to type to repeat the check, in the folder of the files; names are quoted for the shell."""
    certificates = [stored.name for stored in content.files if stored.role == "certificate"]
    certificates += [audit.name for audit in content.audits]
    if not certificates:
        return ()
    names = " ".join(map(_quoted, certificates))
    return (
        ("With ctrecon", f"ctrecon verify {names}"),
        ("With the checker alone: one file, numpy and scipy", f"python verify.py {names}"),
        ("The hashes", "sha256sum " + " ".join(_quoted(stored.name) for stored in content.files)),
    )


def _quoted(name: str) -> str:
    """For the shell, and so that no name is taken for an option."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
