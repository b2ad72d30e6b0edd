"""Which words a scan may use for patient and study: the keywords of DICOM that a series can carry."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from ctrecon.errors import InputError

# Needed in every file; empty where nothing is known (type 2), but for the study's UID.
NEEDED = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
)  # fmt: skip
# Passed through where they are known and valid.
OPTIONAL = (
    "TimezoneOffsetFromUTC", "StudyDescription", "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight",
    "EthnicGroup", "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod", "BodyPartExamined",
    "Laterality", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
)  # fmt: skip
WORDS = (*NEEDED, *OPTIONAL)


def check_study(source: object, study: object) -> dict[str, str]:
    """Patient and study of a scan as a dict of its own.

    Args:
        source: Whose they are, for the message.
        study: Keywords of DICOM with their texts.

    Returns:
        A copy.

    Raises:
        InputError: For a word that no series can carry, or a value that is no text. Whether a text is valid DICOM is
            judged where it is written.
    """
    if not isinstance(study, Mapping):
        raise InputError(f"{source}: study must map keywords of DICOM to texts, got {type(study).__name__}")
    for word, text in study.items():
        if word not in WORDS:
            like = get_close_matches(str(word)[:80], WORDS, 1)
            hint = f"; is {like[0]} meant?" if like else f"; there are {', '.join(WORDS)}"
            raise InputError(
                f"{source}: its study has {str(word)[:80]!r}, which is no attribute of patient or study that can be "
                f"written{hint}"
            )
        if not isinstance(text, str):
            raise InputError(f"{source}: {word} of its study must be a text, got {type(text).__name__}")
    return dict(study)
