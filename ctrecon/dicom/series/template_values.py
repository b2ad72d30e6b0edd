"""What scanners write, judged by what DICOM allows (PS3.5, 6.2) and a strict checker accepts.

Old and sloppy forms that can mean only one thing are put into today's; nothing else is guessed. Messages quote no
value: it may be a patient's.
"""

from __future__ import annotations

import re
import unicodedata

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import DA, TM, validate_value

# PS3.3 enumerates these.
_ONE_OF = {"Laterality": ("L", "R"), "PatientSex": ("M", "F", "O"), "PatientIdentityRemoved": ("YES", "NO")}
# Parts of the body without sides (PS3.16, Annex L), for which Laterality must not be there.
UNPAIRED = frozenset(
    (
        "ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS "
        "COCCYX COLON CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART ILEUM ILIUM JAW "
        "JEJUNUM LARYNX LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN "
        "NECKCHESTABDPELV NOSE PANCREAS PELVIS PENIS PHARYNX PROSTATE RECTUM SCALP SKULL SPINE SPLEEN SSPINE "
        "STERNUM STOMACH THYMUS THYROID TLSPINE TONGUE TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA "
        "WHOLEBODY"
    ).split()
)
_MOST_GROUPS, _MOST_COMPONENTS = 3, 5
_ZONE = re.compile(r"-(0\d|1[0-2])[0-5]\d|\+(0\d|1[0-4])[0-5]\d")
# PS3.3 C.7.1.3: types 1 and 2 of the clinical trial's subject.
_TRIAL = "ClinicalTrial"
_TRIAL_NEEDS = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialSubjectID")
_TRIAL_EMPTY = ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName")


def in_form(keyword: str, text: str) -> str:
    """Dates and times as ACR-NEMA wrote them, codes in small letters, ages without zeros, tabs in prose."""
    vr = dictionary_VR(keyword)
    if vr == "DA" and re.fullmatch(r"\d{4}\.\d\d\.\d\d", text):
        return text.replace(".", "")
    if vr == "TM" and re.fullmatch(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", text):
        return text.replace(":", "")
    if vr == "CS":
        return text.strip().upper()
    if vr == "AS" and re.fullmatch(r"\d{1,3}[DWMYdwmy]", text):
        return text.zfill(4).upper()
    return text.replace("\t", " ") if vr in ("LT", "ST", "UT") else text


def check_text(keyword: str, text: str) -> None:
    """Raises ValueError unless ``text`` is one valid value of the attribute; what is empty is valid but for a UID."""
    vr = dictionary_VR(keyword)
    allowed = "\r\n\f" if vr in ("LT", "ST", "UT") else ""
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in text):
        raise ValueError("it holds control characters")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("its bytes are not of the character set that the file states")
    if vr in ("LO", "SH", "PN", "CS", "UI") and "\\" in text:
        raise ValueError("it holds a backslash")
    if vr == "UI" and not (UID(text).is_valid and text):
        raise ValueError("it is no UID")
    if vr == "PN":
        groups = text.split("=")
        if len(groups) > _MOST_GROUPS or any(len(group.split("^")) > _MOST_COMPONENTS for group in groups):
            raise ValueError("it has more than three groups or five components")
    try:
        validate_value(vr, text, config.RAISE)
        if text and vr in ("DA", "TM"):
            (DA if vr == "DA" else TM)(text)
    except ValueError as why:
        said = str(why)
        raise ValueError(f"it is no {vr}" if text in said or "Please see" in said else said.rstrip(".")) from None
    if text and text not in _ONE_OF.get(keyword, (text,)):
        raise ValueError(f"it is none of {', '.join(_ONE_OF[keyword])}")
    if text and keyword == "TimezoneOffsetFromUTC" and not _ZONE.fullmatch(text):
        raise ValueError("it is no time zone")


def complete_or_drop(attributes: Dataset) -> list[str]:
    """Make whole what is valid only as a whole; gives what was dropped, one sentence each."""
    notes = []
    trial = [element.keyword for element in attributes if element.keyword.startswith(_TRIAL)]
    if trial and all(attributes.get(keyword) for keyword in _TRIAL_NEEDS):
        for keyword in _TRIAL_EMPTY:
            if keyword not in attributes:
                setattr(attributes, keyword, "")
    elif trial:
        for keyword in trial:
            delattr(attributes, keyword)
        notes.append("the clinical trial is not named by sponsor, protocol and subject, and was left out")
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if attributes.get("PatientIdentityRemoved") == "YES" and not any(attributes.get(one) for one in methods):
        del attributes.PatientIdentityRemoved
        notes.append("PatientIdentityRemoved says YES without a method, which is not valid, and was left out")
    return notes
