"""What an audit is asked, in the forms that people give it: discs, masks and files of masks; bounds on roughness."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ctrecon.auditing.evidence import Evidence, single
from ctrecon.auditing.image_set import variation
from ctrecon.auditing.regions import Region, Ring, disc, disc_mm, masked, read_mask
from ctrecon.errors import SettingError
from ctrecon.io.images import read_image_array
from ctrecon.support.arguments import shape_of, shown

Disc: TypeAlias = tuple[float, float, float]
Roi: TypeAlias = Disc | str | os.PathLike[str] | npt.NDArray[Any]


def roughness(kappa: float | str | None, evidence: Evidence) -> dict[str, Any]:
    """``kappa`` and where it is from, as ``assume`` takes them. Raises SettingError."""
    if kappa is None:
        return {}
    text = str(kappa).strip()
    if text.endswith(".npy"):
        other = read_image_array(Path(text))
        if other.shape != evidence.image.shape:
            raise SettingError(
                f"--kappa {text}: has shape {other.shape}, the reconstruction {evidence.image.shape}; TV depends on "
                "the pixels, so give an image of the same"
            )
        return {"kappa": variation(single(other)), "kappa_from": f"the TV of {Path(text).name}"}
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise SettingError(f"--kappa is a number, a percentage like 120%, or an image .npy, got {text!r}") from None
    if not text.endswith("%"):
        return {"kappa": number, "kappa_from": "given"}
    own = variation(single(evidence.image))
    return {"kappa": own * number / 100, "kappa_from": f"{number:g}% of the TV of the reconstruction"}


def regions_of(
    roi: Roi | Sequence[Roi], roi_mm: Disc | str | Sequence[Disc | str], evidence: Evidence, ring: Ring
) -> list[Region]:
    """The regions asked for, each with a label of its own. Raises SettingError, InputError."""
    found = [_in_pixels(one, evidence, ring) for one in _several(roi)]
    for given in _several(roi_mm):
        numbers = _three(given)
        if numbers is None:
            raise SettingError(f"--roi-mm is X,Y,RADIUS in mm, got {given!r}")
        if evidence.grid is None:
            raise SettingError(f"{evidence.path.name} has a matrix and no geometry, so mm mean nothing; use --roi")
        found.append(disc_mm(*numbers, evidence.grid, ring))
    labels: dict[str, int] = {}
    for k, region in enumerate(found):
        labels[region.label] = labels.get(region.label, 0) + 1
        if labels[region.label] > 1:  # masks of one name from two folders
            found[k] = replace(region, label=f"{region.label}-again{labels[region.label]}")
    return found


def _in_pixels(given: Any, evidence: Evidence, ring: Ring) -> Region:
    shape, grid = (evidence.image.shape[0], evidence.image.shape[1]), evidence.grid
    if isinstance(given, np.ndarray):
        if given.shape != shape or given.dtype.kind not in "biuf" or not bool(np.isfinite(given).all()):
            raise SettingError(f"a mask has the shape of the image {shape} and finite numbers, got {given.shape}")
        return masked(given != 0, "mask", ring)
    numbers = _three(given)
    if numbers is not None:
        return disc(*numbers, shape, ring)
    if hasattr(given, "__array__") or isinstance(given, memoryview):
        raise SettingError(f"a mask is a NumPy array [rows, columns], got {shown(given)}; give numpy.asarray of it")
    mask = read_mask(Path(given), shape, None if grid is None else grid.spacing_mm)
    return masked(mask, Path(given).name, ring)


def _several(given: Any) -> list[Any]:
    """One region or many, as a list: three numbers are a disc."""
    if isinstance(given, str | os.PathLike | np.ndarray) or _three(given) is not None:
        return [given]
    return [given] if hasattr(given, "__array__") or isinstance(given, memoryview) else list(given)


def _three(given: Any) -> Disc | None:
    if isinstance(given, os.PathLike | np.ndarray) or len(shape_of(given)) > 1:
        return None
    parts = given.split(",") if isinstance(given, str) else given
    try:
        x, y, r = (float(part) for part in parts)
    except (ValueError, TypeError, NotImplementedError):  # a memoryview of two axes has no rows
        return None
    return x, y, r
