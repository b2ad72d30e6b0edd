"""C-FIND as a client, in the study root (PS3.4, C): which studies or series a node has."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ctrecon.dicom.network.associate import associate
from ctrecon.dicom.network.contexts import UNCOMPRESSED
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.errors import NetworkError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PENDING = (0xFF00, 0xFF01)

# What is asked for at each level; the first ones identify, the last two of a study are the patient's.
STUDY_KEYS = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription",
    "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)
SERIES_KEYS = (
    "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
)
PATIENT_KEYS = ("PatientID", "PatientName")


def keys_of(level: str) -> tuple[str, ...]:
    return (*STUDY_KEYS, *PATIENT_KEYS) if level == "study" else SERIES_KEYS


def find(
    node: Node, connection: Connection, level: str, match: Mapping[str, str], *, limit: int = 1000
) -> list[dict[str, str]]:
    """Search a node (C-FIND, PS3.4, C.4.1).

    Args:
        node: Whom to ask.
        connection: Our title, time limits and certificates.
        level: ``study``, or ``series`` for the series of one study.
        match: Attributes by keyword, with DICOM's wildcards and ranges.
        limit: At most so many come back; then the search is cancelled.

    Returns:
        What matches, as text by keyword.

    Raises:
        NetworkError: Where the node cannot be reached, does not answer, or ends the search with an error.
    """
    found: list[dict[str, str]] = []
    syntaxes = [str(s) for s in UNCOMPRESSED]
    with associate(node, connection, [(STUDY_ROOT_FIND, syntaxes)]) as association, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = _wanted(level, match)
        for status, identifier in association.send_c_find(wanted, STUDY_ROOT_FIND, msg_id=1):
            if "Status" not in status:
                raise NetworkError(f"{node} did not answer the search within {connection.timeout_s:g} s")
            if status.Status in PENDING and identifier is not None:
                if len(found) < limit:
                    found.append(_texts(identifier, [*keys_of(level), *match]))
                    if len(found) == limit:
                        association.send_c_cancel(1, query_model=STUDY_ROOT_FIND)
            elif status.Status not in (0x0000, 0xFE00):
                raise NetworkError(f"{node} ended the search with status 0x{status.Status:04X}: {_why(status.Status)}")
    return found


def _wanted(level: str, match: Mapping[str, str]) -> Dataset:
    """What is asked for. pydicom warns of wildcards, and of identifiers that archives do hold."""
    from pydicom.dataset import Dataset

    wanted = Dataset()
    wanted.QueryRetrieveLevel = level.upper()
    wanted.SpecificCharacterSet = "ISO_IR 192"
    for key in dict.fromkeys((*keys_of(level), *match)):
        setattr(wanted, key, match.get(key, None))
    return wanted


def _texts(identifier: Dataset, keys: list[str]) -> dict[str, str]:
    return {key: text_of(identifier.get(key)) for key in dict.fromkeys(keys)}


def text_of(value: Any) -> str:
    """A value in one line; several are joined by DICOM's backslash."""
    if value is None:
        return ""
    from pydicom.multival import MultiValue

    return "\\".join(str(one) for one in value) if isinstance(value, MultiValue | list) else str(value)


def _why(status: int) -> str:
    if 0xC000 <= status <= 0xCFFF:
        return "it cannot process the search"
    return {0xA700: "out of resources", 0xA900: "the search does not fit its model", 0x0122: "not supported"}.get(
        status, "it failed"
    )
