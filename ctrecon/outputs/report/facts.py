"""The tables of a report: geometry, run, iterations, and the commands that repeat the check."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import numpy as np

from ctrecon.outputs.history import History
from ctrecon.outputs.report.content import Content
from ctrecon.outputs.report.words import number
from ctrecon.reconstruction.methods import title_of

Rows = tuple[tuple[str, str], ...]

MOST_STEPS = 60
_TIMED = {
    "read": "reading the scan",
    "prepare": "preparing the operator",
    "reconstruct": "the reconstruction",
    "certificate": "the proof",
}


def geometry_rows(content: Content) -> Rows:
    geometry, grid = content.geometry, content.grid
    if geometry is None or grid is None:
        return ()
    orbit, (views, *_) = geometry.orbit, geometry.shape
    turned = ""
    if orbit is not None:
        first, last = (number(math.degrees(orbit.angles_rad[k])) for k in (0, -1))
        turned = f", from {first}° to {last}°"
    length = content.units.short
    rows = [
        ("Beam", geometry.title),
        ("Views", f"{views}{turned}"),
        ("Detector", f"{geometry.detector_count} cells of {number(geometry.detector_spacing_mm)} {length}"),
    ]
    if len(geometry.shape) == 3:
        vectors = geometry.to_vectors()
        rows.append(("Detector rows", f"{vectors.rows} of {number(vectors.row_mm)} {length}"))
    if orbit is not None:
        rows.append(("Detector offset", f"{number(orbit.detector_offset_mm)} {length}"))
        if orbit.source_to_axis_mm is not None and orbit.source_to_detector_mm is not None:
            rows += [
                ("Source to axis", f"{number(orbit.source_to_axis_mm, 6)} {length}"),
                ("Source to detector", f"{number(orbit.source_to_detector_mm, 6)} {length}"),
            ]
    (dy, dx), (height, width), centre = grid.spacing_mm, grid.size_mm, grid.centre_mm
    side = number(dx) if dx == dy else f"{number(dy)} × {number(dx)}"  # noqa: RUF001
    rows += [
        ("Image", f"{grid.rows} × {grid.columns} pixels of {side} {length}"),  # noqa: RUF001
        ("Covers", f"{number(width)} × {number(height)} {length}"),  # noqa: RUF001
    ]
    if grid.slices is not None and grid.slice_mm is not None:
        middle = number(grid.centre_mm[2])
        rows.append(("Slices", f"{grid.slices} of {number(grid.slice_mm)} {length}, about z = {middle}"))
    if any(centre):
        x, y = (f"{number(part)} {length}" for part in centre[:2])
        rows.append(("Middle of the image", f"x {x}, y {y} from the axis"))
    return tuple(rows)


def details(content: Content) -> Rows:
    """How the image was made, as far as its files tell."""
    # The certificate names a file, too; nobody has compared it here, so it is not repeated.
    history = content.history
    if history is None:
        return ()
    rows = [
        ("Scan file, as the history has it; not compared here", history.source),
        ("Method", title_of(history.method) if history.method else "not named"),
        *_weights(history),
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


def _weights(history: History) -> Rows:
    """Whose answers were asked for, where a network was."""
    prior = None if history.settings is None else history.settings.get("prior")
    return () if prior is None else (("Network", Path(str(prior)).name),)


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
    names = " ".join(map(quoted, certificates))
    return (
        ("With ctrecon", f"ctrecon verify {names}"),
        ("With the checker alone: one file, numpy and scipy", f"python verify.py {names}"),
        ("The hashes", "sha256sum " + " ".join(quoted(stored.name) for stored in content.files)),
    )


def quoted(name: str) -> str:
    """A name for the shell, and so that no name is taken for an option."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
