"""Counts with white and dark frames, as synchrotrons and laboratories measure them: line integrals with variances."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.io.measured import Measured, from_counts
from ctrecon.measurement.counts import photon_transfer
from ctrecon.measurement.frames import bad_cells, white_by_view
from ctrecon.support.arrays import Array

_FEWEST = 4


def from_frames(
    path: Path, counts: Array, white: Array, dark: Array | None, *, white_at: Array | None = None,
    notes: tuple[str, ...] = (), **more: Any,
) -> Measured:
    """Line integrals of ``counts [views, cells]``; cells that the frames show to be at fault are missing.

    Of a volume ``[views, rows, cells]``, with frames ``[frames, rows, cells]``.

    Args:
        path: For messages.
        counts: What was measured.
        white: Frames ``[frames, cells]`` without an object.
        dark: Likewise without a beam, None where there are none.
        white_at: Of each white frame, how many views were taken before it, where that is known: a white field that
            drifts is interpolated by view.
        notes: What was assumed so far.
        **more: Other fields of ``Measured``.

    Raises:
        InputError, SettingError: As ``line_integrals``, with the file's name.
    """
    if counts.ndim == 3:  # rows side by side are what a single long row would be
        flat = from_frames(
            path, counts.reshape(len(counts), -1), white.reshape(len(white), -1),
            None if dark is None else dark.reshape(len(dark), -1), white_at=white_at, notes=notes, **more,
        )  # fmt: skip
        arrays = ("sinogram", "variance", "mask", "counts", "white")
        shaped: dict[str, Any] = {name: getattr(flat, name) for name in arrays}
        shaped = {name: None if values is None else values.reshape(counts.shape) for name, values in shaped.items()}
        note = "the axis of a volume is taken for the middle column; --center COLUMN moves it"
        return replace(flat, center=None, notes=(*flat.notes, note), **shaped)
    if dark is None:
        dark, notes = np.zeros((1, counts.shape[1])), (*notes, "no dark field: taken as zero")
    gain, electronic_sigma = photon_transfer(white, dark)
    if len(white) >= _FEWEST:
        notes += (
            f"noise of the camera from {len(white)} white and {len(dark)} dark frames: variance {gain:.3g} per count, "
            f"electronic sigma {electronic_sigma:.3g} counts",
        )  # fmt: skip
    field, said = white.mean(axis=0), ""
    if white_at is not None:
        field, said = white_by_view(white, white_at, len(counts))
    notes += (said,) if said else ()
    mask, bad = None, bad_cells(white, dark)
    if bad is not None:
        mask = np.broadcast_to(bad.usable, counts.shape)
        many = ", ".join(f"{count} {name}" for name, count in bad.counts.items())
        notes += (f"cells at fault by their white and dark frames: {many}; they are missing",)
    return from_counts(
        path, counts, field, dark.mean(axis=0), electronic_sigma=electronic_sigma, gain=gain, mask=mask, notes=notes,
        **more,
    )  # fmt: skip
