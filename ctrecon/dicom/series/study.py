"""Whose images these are: patient and study, from a template file and from options."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import PersonName

from ctrecon.dicom.common.files import check_not_deflated
from ctrecon.dicom.series.template_values import UNPAIRED, check_text, complete_or_drop, in_form
from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.study_words import NEEDED, WORDS

# What a PACS files by: no gap and no guess there.
FILED_BY = ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber")
NO_PATIENT, NO_ISSUER = "RESEARCH^NO PATIENT", "ctrecon"
"""A patient who is nobody, and who gave him his number: no archive's own patient can have both."""
_OF_NOBODY = (
    f"No patient is named: PatientName is {NO_PATIENT}, and PatientID follows from the data and names nobody; "
    "--template, or --patient-name and --patient-id, name somebody"
)
# Where a type 1 date is demanded and the study's date is not known. Not the clock: same input, same bytes.
NO_DATE, NO_TIME = "19000101", "000000"
CHARACTER_SET = "ISO_IR 192"
"""Of every object that is written: UTF-8."""


@dataclass(frozen=True)
class Study:
    """Patient and study attributes as a dataset; StudyInstanceUID is missing where nothing gave one. ``side``: L or R
    of a paired part of the body, where the template says it.
    """

    attributes: Dataset
    notes: tuple[str, ...] = ()
    side: str = ""

    @property
    def moment(self) -> tuple[str, str]:
        """Date and time of the study, or fixed ones."""
        date = str(self.attributes.get("StudyDate") or "")
        return (date, str(self.attributes.get("StudyTime") or NO_TIME)) if date else (NO_DATE, NO_TIME)

    @property
    def is_somebodys(self) -> bool:
        """Whether it says of whom it is, or of which study."""
        return any(self.attributes.get(keyword) for keyword in ("PatientName", "PatientID", "StudyInstanceUID"))

    @property
    def note_of_nobody(self) -> tuple[str, ...]:
        """What is to be said where nobody is named, so that a patient is made up; else nothing."""
        return () if self.is_somebodys else (_OF_NOBODY,)

    def copy_to(self, dataset: Dataset) -> None:
        """Add the attributes of patient and study to a dataset.

        Args:
            dataset: Of an image, a report or the like; attributes that it has are replaced.
        """
        for element in self.attributes:
            dataset.add(element)

    def side_to(self, dataset: Dataset) -> None:
        """Laterality of an image's or raw data's series: known or not, but where there are no sides, none.

        Args:
            dataset: That of the series; what it has of ``Laterality`` is replaced, unless the body part has no sides.
        """
        if self.attributes.get("BodyPartExamined") not in UNPAIRED:
            dataset.Laterality = self.side


def study_of(template: Path | None, given: Mapping[str, str]) -> Study:
    """Patient and study of a new series.

    Attributes that are not valid DICOM are left out with a note, or refused where a PACS files by them.

    Args:
        template: A DICOM file of the study; None where there is none.
        given: What it leaves empty, by keyword.

    Returns:
        The attributes, and notes.

    Raises:
        InputError: For a file that is no DICOM.
        SettingError: Where ``given`` is invalid or contradicts the template: the same study with another patient is
            torn apart by a PACS.
    """
    attributes = Dataset()
    notes: list[str] = []
    attributes.SpecificCharacterSet = CHARACTER_SET
    if template is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's remarks on sloppy values, which are judged one by one here
            notes += _pass_through(template, attributes)
    return _with_options(attributes, tuple(notes), given)


def study_from_texts(source: str, texts: Mapping[str, Sequence[str]], given: Study) -> Study:
    """Patient and study as ``source`` states them by keyword, with what it leaves empty from ``given``.

    Raises InputError for what is not valid DICOM, SettingError where ``given`` contradicts it.
    """
    attributes = Dataset()
    attributes.SpecificCharacterSet = CHARACTER_SET
    for keyword, values in texts.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _put(attributes, keyword, *(in_form(keyword, text) for text in values))
        except ValueError as why:
            raise InputError(f"{source}: its {keyword} is not valid DICOM ({why}); correct it") from None
    notes = tuple(f"{source}: {note}" for note in complete_or_drop(attributes))
    options = {e.keyword: str(e.value) for e in given.attributes if e.keyword != "SpecificCharacterSet" and e.value}
    return _with_options(attributes, (*given.notes, *notes), options, whose="the scan")


def _with_options(
    attributes: Dataset, notes: tuple[str, ...], given: Mapping[str, str], *, whose: str = "the template"
) -> Study:
    """Add what was asked for beside, and empty values where there must be one."""
    side = ""
    if "Laterality" in attributes:  # of some series only, so not among what all files say
        side = str(attributes.Laterality)
        del attributes.Laterality
    for keyword, text in given.items():
        already = str(attributes.get(keyword) or "")
        if already and already != text:
            raise SettingError(
                f"{keyword} {text!r} contradicts {whose}, which has another one; the study would be split in a "
                f"PACS: drop the option{' or the template' if whose == 'the template' else ''}"
            )
        try:
            _put(attributes, keyword, text)
        except ValueError as why:
            raise SettingError(f"{keyword} {text!r} is not valid DICOM: {why}") from None
    for keyword in NEEDED:
        if keyword not in attributes and keyword != "StudyInstanceUID":
            setattr(attributes, keyword, "")
    return Study(attributes, notes, side)


def _pass_through(template: Path, attributes: Dataset) -> list[str]:
    """Fill ``attributes`` from a file; gives what was left out or guessed, one sentence each."""
    source, notes = _read(template), []
    for keyword in WORDS:
        try:
            if keyword in source:
                _put(attributes, keyword, *(in_form(keyword, text) for text in _texts(source, keyword)))
        except ValueError as why:
            if keyword in FILED_BY:
                raise InputError(f"{template}: its {keyword} is not valid DICOM ({why}); correct it") from None
            notes.append(f"{template.name}: {keyword} is not valid DICOM ({why}) and was left out")
    try:
        _put_codes(attributes, source, "DeidentificationMethodCodeSequence")
    except (ValueError, TypeError, AttributeError):
        notes.append(f"{template.name}: DeidentificationMethodCodeSequence is not valid DICOM and was left out")
    if not attributes.get("StudyInstanceUID"):
        raise InputError(f"{template}: it has no StudyInstanceUID; give another --template")
    notes += [f"{template.name}: {note}" for note in complete_or_drop(attributes)]
    if not _states_its_characters(source) and not all(str(e.value).isascii() for e in attributes if e.VR != "SQ"):
        notes.append(f"{template.name}: states no known character set; its text was read as ISO 8859-1, look at it")
    return notes


def _states_its_characters(source: Dataset) -> bool:
    try:
        stated = source.get("SpecificCharacterSet") or ""
        codes = [stated] if isinstance(stated, str) else list(stated)
        return any(codes) and all(str(code) in python_encoding for code in codes)
    except Exception:  # whatever a damaged value leads to
        return False


def _read(template: Path) -> Dataset:
    try:
        if template.is_file():
            check_not_deflated(template)
        return dcmread(template, stop_before_pixels=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{template} does not exist; give --template the name of a DICOM file") from None
    except InvalidDicomError:
        raise InputError(f"{template} is not a DICOM file; give --template the name of one") from None
    except MemoryError:
        raise
    except Exception as why:  # a damaged file trips the reader over in many ways
        raise InputError(f"{template} cannot be read as DICOM ({type(why).__name__}: {why}); use another one") from None


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    """The values as text; raises ValueError where none can be made of the bytes, or there are more than may be."""
    try:
        value = dataset[keyword].value
    except Exception as why:  # values are decoded only now, and damaged ones trip the reader over in many ways
        raise ValueError(type(why).__name__) from None
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    if len(values) > 1 and dictionary_VM(keyword) == "1":
        raise ValueError("more than one value")
    return ["" if one is None else str(one) for one in values]


def _put(dataset: Dataset, keyword: str, *texts: str) -> None:
    """Set a text attribute; raises ValueError unless all values are valid."""
    for text in texts:
        check_text(keyword, text)
    if dictionary_VR(keyword) == "PN":
        setattr(dataset, keyword, PersonName(texts[0], encodings=["utf8"]))
    else:
        setattr(dataset, keyword, texts[0] if len(texts) == 1 else list(texts))


def _put_codes(dataset: Dataset, source: Dataset, keyword: str) -> None:
    """Copy a sequence of codes, and of each no more than code, scheme and meaning; raises ValueError."""
    items = []
    for code in source.get(keyword) or ():
        item = Dataset()
        for part in ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"):
            if part in code:
                _put(item, part, *_texts(code, part))
        items.append(item)
    if items:
        setattr(dataset, keyword, DicomSequence(items))
