"""The manifest of a series: every object, and all of each that decides where it stands, how it shows, what it says.

Canonical JSON (sorted keys, no spaces, UTF-8), hashed, and carried as Raw Data Storage beside the certificates, so that
it goes wherever the study goes. It names nobody: of patient and study it keeps one byte of a hash for each attribute,
and four of a hash of all of them at once.

    {"format": "ctrecon-manifest-1", "slices": [...], "objects": {SOPInstanceUID: {...}, ...}, "own": {...},
     "histories": {"1": SHA-256, ...}}

``slices``: for people, z, position, orientation, spacing, frame of reference and certificate of each image, from the
lowest z. ``objects``: for each, ``says``, ``whose`` and ``together`` (``plain`` and ``coercible`` of
``plain_values.py``), and of the map the hash of its decoded pixels. ``own``: the same of the object that carries the
manifest. ``histories``: of the files beside the certificates that say how each slice came about
(``bound_histories.py``), where there are any. What an image's pixels decode to, its certificate says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage, RawDataStorage

from ctrecon.certificates.verify import Json, require
from ctrecon.dicom.common.private import CREATOR, GROUP, KEY, MANIFEST, SIGNATURE, read_tie
from ctrecon.dicom.common.uids import identify, uid_of
from ctrecon.dicom.series.ct_image import code
from ctrecon.dicom.series.item_by_item import Grown, Items, Spools, canonical
from ctrecon.dicom.series.plain_values import coercible, plain
from ctrecon.dicom.series.raw_data import raw_data
from ctrecon.dicom.series.study import Study
from ctrecon.support.beside import history_sha256

if TYPE_CHECKING:
    from ctrecon.support.site_key import SiteKey

FORMAT, HISTORIES = "ctrecon-manifest-1", "histories"
_SLICE = (
    "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "FrameOfReferenceUID", "PatientPosition",
)


class Listing:
    """The manifest as it grows: each finished object is looked at as it is written, and let go."""

    def __init__(self, spools: Spools) -> None:
        self._spools, self._entries = spools, spools.open()
        self._places: list[tuple[str, int, int]] = []
        self._slices: list[tuple[int, int, int]] = []
        self._histories: dict[str, str] = {}

    def add_history(self, index: int, raw: bytes) -> None:
        """The file that says how slice ``index`` came about."""
        self._histories[str(index)] = history_sha256(raw)

    def add(self, grown: Grown) -> None:
        """An object with its UIDs."""
        ds = grown.ds
        if ds.SOPClassUID == CTImageStorage:
            self._slices.append((int(ds.InstanceNumber), *self._keep([canonical(slice_of(_as_written(ds)))])))
        self._places.append((str(ds.SOPInstanceUID), *self._keep(grown.entry())))

    def write(self, carrier: Grown) -> tuple[BinaryIO, int]:
        """Canonical JSON, with the object that will carry it: a file, and how long it is."""
        out = self._spools.open()
        out.write(b'{"format":' + canonical(FORMAT) + b",")
        if self._histories:
            out.write(canonical(HISTORIES) + b":" + canonical(self._histories) + b",")
        out.write(b'"objects":{')
        for number, (uid, *place) in enumerate(sorted(self._places)):
            out.write(b"," * bool(number) + canonical(uid) + b":" + self._kept(*place))
        out.write(b'},"own":')
        for piece in carrier.entry(without=("SOPInstanceUID", "SeriesInstanceUID")):
            out.write(piece)
        out.write(b',"slices":[')
        for number, (_, *place) in enumerate(sorted(self._slices)):
            out.write(b"," * bool(number) + self._kept(*place))
        out.write(b"]}")
        return out, out.tell()

    def _keep(self, pieces: Iterable[bytes]) -> tuple[int, int]:
        start = self._entries.seek(0, 2)
        for piece in pieces:
            self._entries.write(piece)
        return start, self._entries.tell() - start

    def _kept(self, start: int, length: int) -> bytes:
        self._entries.seek(start)
        return self._entries.read(length)


def entry_of(ds: Dataset) -> dict[str, Any]:
    """What the manifest keeps of one object that was read from a file."""
    entry: dict[str, Any] = {"says": plain(ds), **coercible(ds)}
    if "PixelData" in ds and ds.SOPClassUID != CTImageStorage:
        entry["pixels_sha256"] = pixels_hash(ds)
    tie = read_tie(ds)
    if tie is not None:
        entry["tie"] = [repr(tie.water_mu), *map(repr, tie.spacing_mm), tie.certificate_sha256]
    return entry


def own_of(ds: Dataset) -> dict[str, Any]:
    """What the manifest keeps of its own object, whose UIDs follow from it."""
    says = {name: value for name, value in plain(ds).items() if name not in ("SOPInstanceUID", "SeriesInstanceUID")}
    return {"says": says, **coercible(ds)}


def pixels_hash(ds: Dataset) -> str:
    """SHA-256 of the stored values, little-endian, however they are compressed."""
    return hashlib.sha256(np.ascontiguousarray(ds.pixel_array.astype("<i4")).tobytes()).hexdigest()


def slice_of(ds: Dataset) -> dict[str, Any]:
    """One line of the list of slices."""
    says, tie = plain(ds), read_tie(ds)
    chosen = {name: says.get(name) for name in _SLICE}
    return {
        "SOPInstanceUID": str(ds.SOPInstanceUID), "z_mm": float(ds.ImagePositionPatient[2]), **chosen,
        "certificate_sha256": "" if tie is None else tie.certificate_sha256,
    }


def _as_written(ds: Dataset) -> Dataset:
    """The dataset as whoever reads its file sees it."""
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return dcmread(stream)


def manifest_object(
    images: Sequence[Dataset], listed: Listing, *, study: Study, spools: Spools, key: SiteKey | None = None
) -> Grown:
    """The manifest of all that is ``listed`` as raw data that refer to all ``images``, without its own UIDs.

    ``key`` signs it.
    """
    ds, references = raw_data(images[0], "manifest", "manifest of the series", 1, study=study), Items(spools)
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        item.PurposeOfReferenceCodeSequence = DicomSequence([code("listed-image", "99CTRECON", "Listed image")])
        references.add(item)
    identify(ds, uid_of("not yet"), uid_of("not yet"))
    grown = Grown(ds, {"ReferencedInstanceSequence": references})
    manifest, length = listed.write(grown)
    block = ds.private_block(GROUP, CREATOR, create=True)
    if key is not None:
        manifest.seek(0)
        block.add_new(SIGNATURE, "OB", key.sign(manifest.read()))
        block.add_new(KEY, "OB", key.public.raw)
    manifest.seek(length)
    manifest.write(b" " * (length % 2))
    manifest.seek(0)
    block.add_new(MANIFEST, "OB", manifest)
    return grown


def holds_manifest(ds: Dataset) -> bool:
    """Whether it is a manifest's raw data."""
    if ds.get("SOPClassUID") != RawDataStorage or CREATOR not in ds.private_creators(GROUP):
        return False
    return MANIFEST in ds.private_block(GROUP, CREATOR)


def signature_of(ds: Dataset) -> tuple[bytes, bytes] | None:
    """Public key and signature of a manifest's raw data, or None where it is not signed."""
    block = ds.private_block(GROUP, CREATOR)
    if SIGNATURE not in block or KEY not in block:
        return None
    return bytes(block[KEY].value), bytes(block[SIGNATURE].value)


def manifest_bytes(ds: Dataset) -> bytes:
    """The manifest as it was written."""
    return bytes(ds.private_block(GROUP, CREATOR)[MANIFEST].value).rstrip(b" ")


def read_manifest(raw: bytes) -> Json:
    """The manifest, checked to be in its only form. Raises Refused."""
    try:
        values = json.loads(raw)
        same = canonical(values) == raw
    except (ValueError, RecursionError):
        same, values = False, None
    require(same and isinstance(values, Mapping), "the manifest is damaged: it is not in its canonical form")
    assert isinstance(values, dict)
    require(values.get("format") == FORMAT, f"the manifest is of another format than {FORMAT}")
    named = set(values) - {HISTORIES}
    require(named == {"format", "slices", "objects", "own"}, "the manifest has other entries than it should")
    objects, slices = values["objects"], values["slices"]
    require(isinstance(values.get(HISTORIES, {}), dict), "the manifest lists no histories where it says so")
    require(isinstance(objects, dict) and isinstance(slices, list), "the manifest lists nothing")
    whole = all(isinstance(one, dict) and isinstance(one.get("says"), dict) and isinstance(one.get("whose"), dict)
                for one in (*objects.values(), values["own"]))  # fmt: skip
    require(whole, "the manifest lists an object without what it says")
    return values
