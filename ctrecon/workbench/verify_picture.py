"""Whether a picture beside a certificate of super-resolution shows exactly the certified values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrecon.certificates import verify
from ctrecon.errors import InputError

# What beside a certificate of super-resolution shows the certified image; beside one of CT it is a preview.
PICTURES = (".png", ".tif", ".tiff", ".nii")


def fault_of_pictures(certificate: Path, image: Path | None) -> str:
    """Why a picture beside a valid certificate of super-resolution does not show the certified image, or ``""``."""
    stem = certificate.name.removesuffix(verify.FILES[""])
    try:
        values = verify.parse_certificate(verify.read(certificate, verify.MAX_BYTES))
        if values["operator"]["projector"] != "pooling":
            return ""
        certified = verify.load(values["image"], image or certificate.with_name(stem + verify.FILES["image"]), "image")
    except (verify.Refused, OSError) as why:  # all this was just found valid, so someone is changing it
        return str(why)
    beside = {certificate.with_name(stem + ending) for suffix in PICTURES for ending in (suffix, suffix.upper())}
    for path in sorted(beside):
        if path.is_file() and (fault := _fault_of_picture(path, certified)):
            return f"{path.name} {fault}"
    return ""


def _fault_of_picture(path: Path, certified: npt.NDArray[Any]) -> str:
    # SimpleITK takes half a second to load, and most certificates have no such picture.
    import SimpleITK

    from ctrecon.io.pictures import read_picture

    itk: Any = SimpleITK  # has no types
    header = itk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        # The size from the header alone, so that no more is decoded than was certified.
        header.ReadImageInformation()
        columns, rows, *others = header.GetSize()
        if (rows, columns) != certified.shape[:2] or any(side != 1 for side in others):
            return f"does not show the certified image: it has {rows} x {columns} pixels, not the certified number"
        picture = read_picture(path)
    except (InputError, RuntimeError, ValueError) as why:
        return f"cannot be compared with the certified image: {(str(why).strip().splitlines() or [''])[-1]}"
    if picture.note and picture.whole:
        return f"does not show the certified image alone: {picture.note}"
    if picture.levels.shape != certified.shape:
        return f"does not show the certified image: its shape is {picture.levels.shape}, not {certified.shape}"
    differing = int(np.count_nonzero(picture.levels != certified))
    return f"does not show the certified image: {differing} of its values differ" if differing else ""
