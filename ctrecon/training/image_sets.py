"""Images on disk that training and tests may use: CT slices in DICOM and natural images, with fixed splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from ctrecon.dicom.images.images import attenuation, read_ct_slice
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float32Array
from ctrecon.training.objects import HeldObject, held_object


def patient_split(patient: str) -> str:
    """``test``, ``validation`` or ``train``, from the patient's name alone: a patient is never in two of them."""
    bucket = hashlib.sha256(patient.encode()).digest()[0] % 100
    return "test" if bucket < 21 else "validation" if bucket >= 94 else "train"


def read_ct_patients(folder: Path, split: str) -> list[HeldObject]:
    """The patients of one split, in the order of their names; where a slice lies in its patient does not matter.

    Args:
        folder: Holds one folder of DICOM files per patient.
        split: ``train``, ``validation`` or ``test``.

    Returns:
        Each patient with its slices in 1/mm.

    Raises:
        InputError: For damaged files.
    """
    patients: list[HeldObject] = []
    for patient in sorted(p for p in folder.iterdir() if p.is_dir()):
        if patient_split(patient.name) == split:
            files = [path for path in sorted(patient.iterdir()) if path.suffix.lower() in (".dcm", "")]
            patients.append(held_object(patient.name, [attenuation(read_ct_slice(path)) for path in files]))
    return [one for one in patients if one.slices]


def slices_of(folder: Path, split: str, *, empty_ok: bool = False) -> list[tuple[str, Float32Array]]:
    """The patient's name and the slice, for each of ``read_ct_patients``.

    Raises InputError where there is none, unless ``empty_ok``.
    """
    found = [(patient.name, image) for patient in read_ct_patients(folder, split) for image in patient.slices]
    if not found and not empty_ok:
        raise InputError(f"{folder} holds no CT slices of the {split} patients")
    return found


def read_natural_images(folders: Iterable[Path]) -> list[Float32Array]:
    """The luminance (ITU-R BT.601) of every PNG and JPEG, from 0 to 1, ``[rows, columns]``."""
    images: list[Float32Array] = []
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
                with PillowImage.open(path) as image:
                    images.append(np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255))
    return images
