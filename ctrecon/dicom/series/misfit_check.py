"""The map of the residual, computed again from the certificates: does it show what the images leave of the data?

The manifest has the hash of its pixels; this asks whether they are true. It is drawn by the projector that the image
was made with, which may interpolate otherwise than the checker's (a GPU's does), so it is compared in the mean over
blocks and to a quarter: a map that was blanked, exchanged or turned is found, the last digit is not looked at.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from ctrecon.certificates.verify import Verdict, blocks, require
from ctrecon.support.arrays import Array, Float64Array

# At most so many blocks a side, and how far the map may be off, as a share of what is recomputed.
_BLOCKS, _TOLERANCE = 32, 0.25


def misfit_again(verdict: Verdict) -> list[Float64Array] | None:
    """``(A^T (A u - f)) / (A^T 1)`` of a valid certificate, in blocks, of each slice; None for a stored matrix."""
    operator, image = verdict.claims["operator"], verdict.arrays["image"]
    if "grid" not in operator or "entries" in operator:
        return None
    sides = tuple(side + 3 for side in image.shape)
    u = np.pad(image, (1, 2)).astype(np.float64, copy=False).ravel()
    data = verdict.arrays["data"].ravel().astype(np.float64)
    total, length = np.zeros(u.size), np.zeros(u.size)
    for at, rows, _, _ in blocks(operator, None):
        # Where the rays pass alone: a volume is much larger than what some rays of a view see of it.
        np.add.at(total, rows.indices, rows.data * np.repeat(rows @ u - data[at], np.diff(rows.indptr)))
        np.add.at(length, rows.indices, rows.data)
    inner = (slice(1, -2),) * image.ndim
    planes = [values.reshape(sides)[inner].reshape(-1, *image.shape[-2:]) for values in (total, length)]
    least, found = 1e-6 * planes[1].max(), []
    for summed, seen in zip(*planes, strict=True):
        mean = np.divide(summed, seen, out=np.zeros_like(summed), where=seen > least)
        found.append(in_blocks(mean))
    return found


def in_blocks(values: Array) -> Float64Array:
    """The means over at most 32 x 32 blocks of an image."""
    rows, columns = (np.array_split(np.arange(side), min(side, _BLOCKS)) for side in values.shape)
    starts = [np.array([one[0] for one in part]) for part in (rows, columns)]
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), starts[0], axis=0), starts[1], axis=1)
    found: Float64Array = sums / np.outer([len(one) for one in rows], [len(one) for one in columns])
    return found


def check_misfit(ds: Dataset, again: dict[float, Float64Array]) -> None:
    """Raises Refused where a frame of the map ``ds`` is not what was recomputed for its z.

    Args:
        ds: The parametric map, with its pixels.
        again: ``misfit_again`` by z in mm, of the images that are valid.
    """
    shared = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    slope, intercept = float(shared.RealWorldValueSlope), float(shared.RealWorldValueIntercept)
    stored = np.atleast_3d(ds.pixel_array) if ds.pixel_array.ndim > 2 else ds.pixel_array[None]
    for frame, item in zip(stored, ds.PerFrameFunctionalGroupsSequence, strict=True):
        z = round(float(item.PlanePositionSequence[0].ImagePositionPatient[2]), 4)
        if z not in again:
            continue
        shown, true = in_blocks(slope * frame.astype(np.float64) + intercept), again[z]
        require(shown.shape == true.shape, f"the map of the residual at z = {z:g} mm has another size than its image")
        off, size = (float(np.sqrt((part * part).mean())) for part in (shown - true, true))
        require(
            off <= _TOLERANCE * size + slope,
            f"the map of the residual at z = {z:g} mm is not what its image leaves of the data (off by {off:.3g} where "
            f"that is {size:.3g})",
        )
