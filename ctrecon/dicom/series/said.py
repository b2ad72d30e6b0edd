"""Patient and study as a scan carries them: DICOM's keywords with their texts, from a file and into a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydicom.datadict import dictionary_VM
from pydicom.multival import MultiValue

from ctrecon.dicom.series.study import Study, study_from_texts, study_of
from ctrecon.errors import InputError
from ctrecon.measurement.study_words import WORDS, check_study


def said_in(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """What a DICOM file says of patient and study, those values that are not empty, and what was left out of it.

    Where what a PACS files by is missing or not valid, nothing is taken: a study with half its patient would be filed
    as another's.
    """
    try:
        study = study_of(path, {})
    except InputError as why:
        return {}, (f"patient and study are left out: {why}",)
    return texts_of(study), study.notes


def texts_of(study: Study) -> dict[str, str]:
    """Its values that are not empty; several of one attribute are joined as DICOM does, by a backslash."""
    attributes, texts = study.attributes, {}
    for keyword in WORDS:
        value = attributes.get(keyword)
        if value:
            texts[keyword] = "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value)
    codes = attributes.get("DeidentificationMethodCodeSequence")
    if codes and "DeidentificationMethod" not in texts:
        # A sequence is no text; what its codes mean is, and says as much.
        texts["DeidentificationMethod"] = "\\".join(str(code.get("CodeMeaning") or code.CodeValue) for code in codes)
    return texts | ({"Laterality": study.side} if study.side else {})


def study_said(source: str, said: Mapping[str, str], given: Study) -> Study:
    """``given``, and where no template told whose study it is, all that the scan ``source`` says.

    Raises:
        InputError: For what the scan says that is no attribute of patient or study, or not valid.
        SettingError: Where ``given`` contradicts it.
    """
    if not said or given.attributes.get("StudyInstanceUID"):
        return given
    values = {}
    for keyword, text in check_study(source, said).items():
        values[keyword] = [text] if dictionary_VM(keyword) == "1" else text.split("\\")
    return study_from_texts(source, values, given)
