"""Faces: a volume of a head, drawn as a surface, shows one (PS3.15, E.3.2, Clean Recognizable Visual Features Option).

Nothing is cut away: what a recogniser leaves of a face would be called clean. With the option, images are refused that
may show one, by what they say; without, they say so themselves (RecognizableVisualFeatures).
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from ctrecon.dicom.common.files import text_of
from ctrecon.errors import InputError

HEADS = frozenset((
    "HEAD", "HEADNECK", "FACE", "SKULL", "BRAIN", "NECK", "CSPINE", "CTSPINE", "EYE", "EYELID", "ORBIT", "NOSE", "EAR",
    "JAW", "MAXILLA", "MANDIBLE", "MOUTH", "CHEEK", "SCALP", "SINUS", "PARANASALSINUS", "TMJ", "ZYGOMA", "TONGUE",
    "PALATE", "PARIETAL", "OCCIPITAL", "FOREHEAD", "LARYNX", "PHARYNX", "NECKCHEST", "NECKCHESTABDOMEN",
    "NECKCHESTABDPELV", "WHOLEBODY", "HEADNECKCHEST", "PETROUSBONE", "TEMPORALBONE", "CRANIUM", "CAROTID", "THYROID",
))  # fmt: skip
"""Body parts of PS3.16, Annex L, with which a face may be in the picture."""


class FaceError(InputError):
    """A face may be recognised in an image."""


def may_show_a_face(ds: Dataset, name: str) -> bool:
    """Whether an image says that a person can be recognised, or that it is of a head, a neck or a whole body.

    Args:
        ds: The image as it was.
        name: The file's name, for messages.

    Returns:
        Also False where it says nothing of the body part.
    """
    said = text_of(ds, "RecognizableVisualFeatures", name).strip().upper()
    return said == "YES" or (said != "NO" and _part(ds, name) in HEADS)


def check_no_face(ds: Dataset, name: str) -> None:
    """Refuse what may show a face.

    Args:
        ds: The image as it was.
        name: The file's name, for messages.

    Raises:
        FaceError: Where ``may_show_a_face``, or where an image says neither which part of the body it is of nor that
            nobody can be recognised.
    """
    if may_show_a_face(ds, name):
        raise FaceError(f"{name}: may show a face, by what it says of itself (BodyPartExamined)")
    if not _part(ds, name) and text_of(ds, "RecognizableVisualFeatures", name).strip().upper() != "NO":
        raise FaceError(f"{name}: says neither BodyPartExamined nor RecognizableVisualFeatures NO: it may show a face")


def _part(ds: Dataset, name: str) -> str:
    return "".join(c for c in text_of(ds, "BodyPartExamined", name).upper() if c.isalpha())
