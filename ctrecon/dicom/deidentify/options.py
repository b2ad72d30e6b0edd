"""The options of the profile, PS3.15 Annex E.3, and the codes that say which were taken (CID 7050)."""

from __future__ import annotations

from dataclasses import dataclass

BASIC, CLEAN_PIXELS, CLEAN_FACES, CLEAN_DESCRIPTORS, MODIFIED_DATES, RETAIN_UIDS, SAFE_PRIVATE = (
    "113100", "113101", "113102", "113105", "113107", "113110", "113111",
)  # fmt: skip
MEANINGS = {
    BASIC: "Basic Application Confidentiality Profile",
    CLEAN_PIXELS: "Clean Pixel Data Option",
    CLEAN_FACES: "Clean Recognizable Visual Features Option",
    CLEAN_DESCRIPTORS: "Clean Descriptors Option",
    MODIFIED_DATES: "Retain Longitudinal Temporal Information Modified Dates Option",
    RETAIN_UIDS: "Retain UIDs Option",
    SAFE_PRIVATE: "Retain Safe Private Option",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is done beside the basic profile.

    ``clean_pixels``: images in which text may be drawn are refused (``burned.py`` says how it is recognised).
    ``clean_faces``: images that may show a face are refused (``faces.py``).
    ``clean_descriptors``: descriptions keep the words that ``descriptors.py`` knows. ``retain_uids``: UIDs stay.
    ``safe_private``: of private attributes, numbers that are known to be harmless stay (``safe_private.py``).
    """

    clean_pixels: bool = False
    clean_faces: bool = False
    clean_descriptors: bool = False
    retain_uids: bool = False
    safe_private: bool = True

    def codes(self, *, move_dates: bool) -> list[str]:
        """The method codes, alike in all files of a run, whether or not a file has such attributes.

        Args:
            move_dates: Whether dates are moved instead of removed.

        Returns:
            Codes of CID 7050, the basic profile's first.
        """
        taken = {
            BASIC: True, CLEAN_PIXELS: self.clean_pixels, CLEAN_FACES: self.clean_faces,
            CLEAN_DESCRIPTORS: self.clean_descriptors, MODIFIED_DATES: move_dates, RETAIN_UIDS: self.retain_uids,
            SAFE_PRIVATE: self.safe_private,
        }  # fmt: skip
        return [code for code, wanted in taken.items() if wanted]
