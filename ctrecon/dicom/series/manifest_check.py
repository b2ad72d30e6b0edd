"""A series against its manifest: nothing that decides what is seen or said may differ, nothing be missing or added.

What an archive may change (``coerced.py``) is gathered, not refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, RawDataStorage

from ctrecon.certificates.verify import Json, Refused, require
from ctrecon.dicom.common.private import CREATOR, GROUP, HASH, KEY, MANIFEST, PIXEL, SIGNATURE, WATER
from ctrecon.dicom.series.coerced import keyword_of
from ctrecon.dicom.series.manifest import (
    entry_of,
    holds_manifest,
    manifest_bytes,
    own_of,
    read_manifest,
    signature_of,
    slice_of,
)
from ctrecon.dicom.series.raw_certificate import ELEMENTS, LENGTHS
from ctrecon.dicom.series.study import CHARACTER_SET
from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.support.site_key import PublicKey

MISSING = (
    "the manifest of the series is missing: what its headers, report and pictures say is not proved; have it sent "
    "again, or check the pixels alone (--pixels-only)"
)
_LONGEST, _MOST_NAMED = 60, 4
_ONE_OF_THEM = "an attribute of patient or study"
# Of the header of a file: what every program writes there. Who wrote it is said by `encoded.py`.
_HEADER = frozenset((0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013))


@dataclass
class Manifest:
    """What a series should be. ``coerced``: keywords of what an archive changed, as objects were looked at."""

    values: Json
    raw: bytes
    path: Path
    coerced: set[str]
    signature: tuple[bytes, bytes] | None = None

    def said_of_signature(self, trusted: PublicKey | None) -> str:
        """Who signed it, in words. Raises Refused where ``trusted`` is given and did not."""
        if self.signature is None:
            require(trusted is None, "the manifest is not signed, so the trusted key says nothing of it")
            return ""
        key, signature = self.signature
        if trusted is None:
            return f"; its signature, not checked, names the key {key.hex()[:16]}: --trusted PUBKEY checks it"
        require(key == trusted.raw, f"the manifest is signed by another key ({key.hex()[:16]}) than the trusted one")
        require(trusted.made(signature, self.raw), "the signature of the manifest is not the trusted key's")
        return f"; signed by the trusted key {key.hex()[:16]}"

    def check(self, ds: Dataset) -> None:
        """Raises Refused where an object, with its pixels, is not what the manifest lists."""
        if holds_manifest(ds):
            return
        listed = self.values["objects"].get(str(ds.SOPInstanceUID))
        if listed is None:
            raise Refused("the manifest does not list it: it was added, or its SOPInstanceUID was changed")
        found = entry_of(ds)
        said = _difference(listed["says"], found["says"])
        require(not said, f"its header is not what the manifest says: {said}")
        require(listed.get("pixels_sha256") == found.get("pixels_sha256"), "its pixels are not those of the manifest")
        require(listed.get("tie") == found.get("tie"), "its private block CTRECON is not what the manifest says")
        self.coerced |= _changed(listed, found)

    def check_private(self, ds: Dataset) -> None:
        """Raises Refused where our block holds what we do not write; others' private elements are gathered.

        Before anything is taken out of the data set.
        """
        _require_own_block(ds)
        self.coerced |= _private(ds)

    def check_own(self, ds: Dataset) -> None:
        """Raises Refused where the manifest's own object says something else than when it was written."""
        own, found = self.values["own"], own_of(ds)
        said = _difference(own["says"], found["says"])
        require(not said, f"its header is not what the manifest says: {said}")
        self.coerced |= _changed(own, found)

    def fault(self, datasets: Sequence[Dataset]) -> str:
        """What is wrong with the whole; empty where nothing is."""
        here = {str(ds.SOPInstanceUID) for ds in datasets if not holds_manifest(ds)}
        lost = [uid for uid in self.values["objects"] if uid not in here]
        if lost:
            listed = self.values["objects"][lost[0]]["says"]
            what = f"{listed.get('Modality')} {listed.get('InstanceNumber')} of series {listed.get('SeriesNumber')}"
            return f"{len(lost)} objects that the manifest lists are missing, the first is {printable(what)}"
        images = [ds for ds in datasets if ds.get("SOPClassUID") == CTImageStorage]
        slices = [slice_of(ds) for ds in sorted(images, key=lambda ds: int(ds.InstanceNumber))]
        return "" if slices == self.values["slices"] else "the slices are not those of the manifest's list"


def manifest_in(datasets: Sequence[tuple[Path, Dataset]]) -> Manifest | None:
    """The manifest among the objects; None where there is none. Raises Refused for a damaged or a second one."""
    found = [(path, ds) for path, ds in datasets if holds_manifest(ds)]
    if not found:
        return None
    require(len(found) == 1, f"there are {len(found)} manifests; keep one series in a folder")
    path, ds = found[0]
    raw = manifest_bytes(ds)
    return Manifest(read_manifest(raw), raw, path, set(), signature_of(ds))


def _difference(listed: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What differs, in words; empty where nothing does."""
    said = []
    for name in sorted({*listed, *found}):
        before, now = listed.get(name), found.get(name)
        if name not in found:
            said.append(f"{name} was taken out")
        elif name not in listed:
            said.append(f"{name} was added")
        elif before != now:
            said.append(f"{name}{_where(before, now)}")
    more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    return "; ".join(said[:_MOST_NAMED]) + more


def _where(before: Any, now: Any) -> str:
    """How two values differ; within items, which item and what of it."""
    if isinstance(before, list) and isinstance(now, list) and all(isinstance(i, Mapping) for i in (*before, *now)):
        if len(before) != len(now):
            return f" has {len(now)} items, not {len(before)}"
        k = next(k for k, (a, b) in enumerate(zip(before, now, strict=True)) if a != b)
        return f", item {k + 1}: {_difference(before[k], now[k])}"
    return f" is {_short(now)}, not {_short(before)}"


def _short(value: Any) -> str:
    text = "\\".join(map(str, value)) if isinstance(value, list) else "empty" if value is None else str(value)
    if text.startswith("sha256 "):
        return "another text"
    return repr(printable(text if len(text) <= _LONGEST else text[:_LONGEST] + "..."))


def _changed(listed: Json, found: Json) -> set[str]:
    """What an archive has changed: by the byte kept of each, or, where that is the same by chance, of all together."""
    before, now = listed["whose"], found["whose"]
    names = {name for name in {*before, *now} if before.get(name) != now.get(name)}
    if not names and listed.get("together", found["together"]) != found["together"]:
        return {_ONE_OF_THEM}
    return names


def _require_own_block(ds: Dataset) -> None:
    """Raises Refused where our block stands twice, or holds what is never written to such an object."""
    group = ds.group_dataset(GROUP)
    places = [e.tag.element for e in group if e.tag.is_private_creator and str(e.value).strip() == CREATOR]
    require(len(places) <= 1, "its private block CTRECON stands twice: other programs may read the other one")
    if ds.SOPClassUID == RawDataStorage:
        known = {MANIFEST, SIGNATURE, KEY} if holds_manifest(ds) else {*ELEMENTS.values(), LENGTHS}
    else:
        known = {WATER, PIXEL, HASH} if ds.SOPClassUID == CTImageStorage else set()
    found = {e.tag.element & 0xFF for e in group if e.tag.element >> 8 in places}
    more = sorted(found - known)
    require(not more, f"its private block CTRECON holds an element xx{(more or [0])[0]:02X}, which was added")
    require(bool(known) or not places, "its private block CTRECON was added")


def _private(ds: Dataset) -> set[str]:
    """What others have put there: private elements, whatever the header of the file need not hold, another character
    set, though the texts are the same.
    """
    added = {keyword_of(element) for element in getattr(ds, "file_meta", Dataset()) if element.tag not in _HEADER}
    if ds.get("SpecificCharacterSet") != CHARACTER_SET:
        added.add("SpecificCharacterSet")
    others = (e for e in ds if e.tag.is_private and e.tag.element != 0 and not _ours(ds, e))  # 0: a group's length
    return added | {keyword_of(element) for element in others}


def _ours(ds: Dataset, element: Any) -> bool:
    """Whether a private element is of our block, or reserves it."""
    if element.tag.group != GROUP:
        return False
    place = element.tag if element.tag.is_private_creator else (GROUP << 16) | (element.tag.element >> 8)
    return place in ds and str(ds[place].value) == CREATOR
