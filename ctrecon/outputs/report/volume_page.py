"""The page about a volume, of a cone or of a stack: three planes with sliders, and where it is certified."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from ctrecon.measurement.patient_position import axes_of
from ctrecon.measurement.units import Units
from ctrecon.outputs.report import figures, words
from ctrecon.outputs.report.content import Content
from ctrecon.outputs.report.filling import fill, still
from ctrecon.outputs.report.reduced import Reduced, reduce_volume
from ctrecon.outputs.report.scale import Scale, choose_scale
from ctrecon.outputs.report.stack_content import StackContent, say_stack
from ctrecon.support.arrays import Array

_MOST_NAMED = 200
_TITLES = (("z", "From above: x to the right, y up"), ("y", "x to the right, z up"), ("x", "y to the right, z up"))


def render_volume(content: Content, *, water_mu_per_mm: float | None = None, written: datetime | None = None) -> str:
    """The page about one volume with one certificate.

    Args:
        content: With an image ``[slices, rows, columns]``.
        water_mu_per_mm: Attenuation of water, for Hounsfield units; None for what is usual.
        written: The time it names; None for now.

    Returns:
        HTML.
    """
    depth, rows, columns = content.image.shape
    reduced = reduce_volume(content.image, (depth, rows, columns))
    scale = choose_scale(reduced.values, content.grid, water_mu_per_mm, units=content.units)
    drawn: dict[str, Any] = {}
    residual_reduced = 1
    if content.residual is not None:
        drawn["residual"], residual_reduced = figures.residual_figure(content.residual)
        drawn["detector"] = figures.detector_figure(content.residual)
    if content.history is not None and content.history.progress:
        drawn["descent"], drawn["energy"] = figures.convergence_figures(content.history)
    first, step = _places(content)
    return fill(
        "volume.html", content, ["volume.js"], written=written, said=words.say(content), stack=None, bad=(), more=0,
        tag=content.status if content.status != "certified"
        else "the certificate says nothing" if content.empty else "the scan is in doubt",
        figures=drawn,
        residual_reduced=residual_reduced, **_shown(reduced, scale, first, step, content.units, [], content.axes),
    )  # fmt: skip


def render_stack(stack: StackContent, *, water_mu_per_mm: float | None = None, written: datetime | None = None) -> str:
    """The page about a stack, each slice with a certificate of its own.

    Args:
        stack: What was found of it.
        water_mu_per_mm: Attenuation of water; None for what the stack says, else what is usual.
        written: The time it names; None for now.

    Returns:
        HTML.
    """
    content, manifest = stack.content, stack.manifest
    water = water_mu_per_mm or manifest.water_mu_per_mm
    scale = choose_scale(stack.reduced.values, content.grid, water, units=content.units)
    drawn = {"slices": figures.slices_figure(stack.slices, content.units)}
    residual_reduced = 1
    if content.residual is not None:
        drawn["residual"], residual_reduced = figures.residual_figure(content.residual)
    step = manifest.step_mm
    # The manifest counts y to the back, as DICOM does; the page shows it upwards, as the geometry has it.
    first = (manifest.first_mm[0], -manifest.first_mm[1], manifest.first_mm[2])
    told = [{"number": one.number, "status": one.status, "residual": one.residual, "delta": one.delta}
            for one in stack.slices]  # fmt: skip
    axes = axes_of(manifest.patient_position)
    bad = [one for one in stack.slices if one.status != "certified"]
    repeated = [one for one in stack.slices if one.repeats is not None]
    doubt = (stack.empty or repeated) and content.status == "certified"
    doubtful = {"mood": "not-certified", "mark": "!"} if doubt else {}
    return fill(
        "volume.html", content, ["volume.js"], written=written, said=say_stack(stack), stack=stack,
        bad=bad[:_MOST_NAMED], more=max(len(bad) - _MOST_NAMED, 0),
        repeated=repeated[:_MOST_NAMED], more_repeated=max(len(repeated) - _MOST_NAMED, 0),
        tag=f"{len(bad)} of {len(told)} slices not certified" if bad
        else "refused" if content.status == "refused"
        else "certificates say nothing" if stack.empty else "slices of the same data",
        figures=drawn, **doubtful,
        residual_reduced=residual_reduced,
        commands=stack.commands, lists=manifest.notes,
        details=stack.details,
        **_shown(stack.reduced, scale, first, (step[0], -step[1], step[2]), content.units, told, axes),
    )  # fmt: skip


def _places(content: Content) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Where the first voxel's middle is and how far to the next, (z, y, x); in voxels where no grid is known."""
    grid = content.grid
    if grid is None:
        return (0.0, 0.0, 0.0), (1.0, -1.0, 1.0)
    dy, dx = grid.spacing_mm
    return (float(grid.z_mm[0]), float(grid.y_mm[0]), float(grid.x_mm[0])), (grid.slice_mm or 1.0, -dy, dx)


def _shown(
    reduced: Reduced, scale: Scale, first: tuple[float, ...], step: tuple[float, ...], units: Units,
    slices: list[dict[str, Any]], patient: dict[str, tuple[str, str]] | None,
) -> dict[str, Any]:
    shown = scale.shown(reduced.values)
    low, high = float(shown.min()), float(shown.max())
    high = max(high, low + 1e-12)
    packed = Reduced(values=shown, factors=reduced.factors, full=reduced.full).packed(low, high)
    depth, rows, columns = shown.shape
    tall, deep, wide = (abs(part) * side for part, side in zip(step, reduced.full, strict=True))
    axes = dict(zip("zyx", zip(first, step, reduced.factors, strict=True), strict=True))
    volume = {
        "shape": [depth, rows, columns], "factors": list(reduced.factors), "values": packed, "low": low, "high": high,
        "unit": scale.unit, "unit_of_length": units.short, "slices": slices,
        "called": {"z": "Slice", "y": "Row", "x": "Column"},
        "first": {name: at + apart * (factor - 1) / 2 for name, (at, apart, factor) in axes.items()},
        "step": {name: apart * factor for name, (_, apart, factor) in axes.items()},
    }  # fmt: skip
    sides = {"z": ((wide, deep), (columns, rows)), "y": ((wide, tall), (columns, depth)),
             "x": ((deep, tall), (rows, depth))}  # fmt: skip
    return {
        "volume": volume, "scale": scale, "low": low, "high": high, "windows": scale.windows(shown),
        "full": reduced.full, "still": still(_middle_planes(shown)),
        "planes": [(name, title, f"{sides[name][0][0]:.6g} / {sides[name][0][1]:.6g}", sides[name][1],
                    marks_of(name, patient)) for name, title in _TITLES],
    }  # fmt: skip


def marks_of(plane: str, patient: dict[str, tuple[str, str]] | None) -> dict[str, str]:
    """The patient's direction at each side of a plane's picture, in which x and y run to the right or fall, z rises."""
    if patient is None:
        return {}
    x, y, z = patient["x"], patient["y"], patient["z"]
    across, up = {"z": (x, y), "y": (x, z), "x": (y[::-1], z)}[plane]
    return {"left": across[0], "right": across[1], "bottom": up[0], "top": up[1]}


def _middle_planes(shown: Array) -> Array:
    """The three side by side, as the page shows them."""
    depth, rows, columns = shown.shape
    parts = [shown[depth // 2], shown[::-1, rows // 2], shown[::-1, ::-1, columns // 2]]
    high = max(len(part) for part in parts)
    low = float(shown.min())
    padded = [np.pad(part, ((0, high - len(part)), (0, 4)), constant_values=low) for part in parts]
    return np.hstack(padded)
