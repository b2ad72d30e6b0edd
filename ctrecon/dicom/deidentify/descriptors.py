"""Descriptions with nothing left but words that describe images (PS3.15, E.3.5, Clean Descriptors Option).

A word stays where it is on a list of anatomy, planes, phases and techniques, or a number of at most two digits before
and after the point, with or without a unit, or the form of a kernel; and only where it is no part of the patient's or
anybody's name in the same file, however short that is or written (``known.py``). All numbers of a description go where
their digits, read together, hold one that the patient is filed by or the date of birth, or where five digits stand in a
row without a unit.
"""

from __future__ import annotations

import re
from functools import cache

from ctrecon.dicom.deidentify.harmless import terms
from ctrecon.dicom.deidentify.known import Known

KEYWORDS = frozenset(
    ("AcquisitionDeviceProcessingDescription", "AcquisitionProtocolDescription", "ContrastBolusAgent",
     "DerivationDescription", "ImageComments", "FrameComments", "PerformedProcedureStepDescription", "ProtocolName",
     "RequestedProcedureDescription", "RequestedSeriesDescription", "ScheduledProcedureStepDescription",
     "SeriesDescription", "StudyDescription")
)  # fmt: skip
"""The attributes that are cleaned; other descriptors of Table E.1-1 are treated as by the basic profile."""

_WORDS = """
a ac abd abdo abdominal abdomen acquisition adrenal after angio angiography ankle aorta aortic arm arterial average ax
axial base bone both brain breast calf cap carotid cardiac certificates certified cervical cgls chest colon contrast
coronal coronary cor cta ct ctpa cspine cyst data delayed detail diagnosis diagnostic dose dynamic early elbow enhanced
enteric equilibrium esophagus excretory expiration face fast fbp femur filtered fine foot for full gallbladder gated
hand head heart helical hepatic high hip hr hrct huber humerus hu in inspiration iodine iterative iv kernel kidney knee
large late learned left leg liver localizer low lower lspine lumbar lung lungs map maxilla mediastinum medium min mip
misfit mm mpr native neck nephrographic no non noncontrast not of oral orbit orbits pancreas parallel pelvic pelvis
perfusion phantom phase portal post pre prone prostate protocol pulmonary quality reconstruction recon renal report
research residual right routine sag sagittal scan scout screening sequence series sharp shoulder sinus sinuses skull
slice slices small smooth soft spine spiral spleen standard std stomach supine surview test their thick thin thoracic
thorax thyroid tissue topogram tspine tumor tumour tv unenhanced upper urography venous volume water whole wholebody
window with without wo wrist w
"""


@cache
def _known() -> frozenset[str]:
    parts = {word for term in terms()["BodyPartExamined"][0] for word in term.lower().split()}
    return frozenset(_WORDS.split()) | parts


_MEASURE = re.compile(r"\d{1,2}(\.\d{1,2})?(mm|cm|s|kv|%)?|\d{2,3}kv", re.IGNORECASE)
_MOST_IN_A_ROW = 5
_KERNEL = re.compile(r"FC\d\d|[BHTUIDJSQ][a-z]?\d\d[a-z]?")


def clean(text: str, known: Known) -> str:
    """``text`` without what is not known to be harmless.

    Words are joined by single spaces: how they were separated could say something, too.

    Args:
        text: A description.
        known: Whose it is: words and numbers that go even where they are on the list.

    Returns:
        At most 64 characters.
    """
    words = [word for word in re.split(r"[\s\\/,;:_+()\[\]-]+", text) if word]
    numbers = [re.sub(r"\D", "", word) if _MEASURE.fullmatch(word) else "" for word in words]
    told = known.in_digits("".join(numbers), [one for one in numbers if one]) or _in_a_row(words) >= _MOST_IN_A_ROW
    kept = [
        word for word, number in zip(words, numbers, strict=True)
        if not known.is_word(word)
        and (word.lower() in _known() or (number and not told) or _KERNEL.fullmatch(word))
    ]  # fmt: skip
    return " ".join(kept)[:64].strip()


def _in_a_row(words: list[str]) -> int:
    """The most digits of numbers without a unit that follow one another: dates and numbers of files are written so."""
    most = held = 0
    for word in words:
        held = held + sum(c.isdigit() for c in word) if re.fullmatch(r"[\d.]+", word) else 0
        most = max(most, held)
    return most
