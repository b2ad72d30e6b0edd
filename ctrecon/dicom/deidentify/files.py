"""A folder of DICOM files de-identified into a new one, all of it or nothing; names say nothing either."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.config import IGNORE
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from ctrecon.dicom.common.files import is_dicom, read_dataset, refusing, short, sources, text_of
from ctrecon.dicom.deidentify.burned import TextFoundError
from ctrecon.dicom.deidentify.changes import Changes
from ctrecon.dicom.deidentify.dataset import deidentify, has_pixels, is_document
from ctrecon.dicom.deidentify.faces import FaceError, may_show_a_face
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.options import Options
from ctrecon.dicom.deidentify.safe_private import holds_certificate, names_nobody, no_certificates
from ctrecon.dicom.deidentify.staying import staying_certificates
from ctrecon.dicom.series.manifest import holds_manifest
from ctrecon.dicom.series.raw_certificate import hash_of
from ctrecon.errors import InputError, OutputError
from ctrecon.support.atomic import atomic_files
from ctrecon.support.folders import new_folder
from ctrecon.support.places import check_new_folder

DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, kw_only=True)
class Deidentified:
    """How many files were written and left out, what a person should look at, and what was changed.

    ``changes``: a row for each attribute and action with ``tag``, ``keyword``, ``action`` and ``count``, no value.
    """

    written: int
    left_out: int
    warnings: tuple[str, ...]
    changes: tuple[dict[str, Any], ...] = ()


def deidentified_bytes(
    name: str, data: bytes, identity: Identity, options: Options | None = None, changes: Changes | None = None,
    certificates: Callable[[], Collection[str]] = no_certificates,
) -> tuple[bytes, FileDataset]:
    """One file's bytes, de-identified, and the dataset they are of. Raises InputError for damaged files.

    ``certificates``: as of ``deidentify``.
    """
    ds = deidentify(read_dataset(name, data), identity, name, options, changes, certificates)
    stream = BytesIO()
    with refusing(f"{name}: cannot be written de-identified"):
        ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue(), ds


def deidentify_folder(
    given: Path, folder: Path, identity: Identity, options: Options | None = None, *, overwrite: bool = False,
    report: Path | None = None,
) -> Deidentified:
    """De-identify DICOM images into a new folder, as 00001.dcm, 00002.dcm, ...; all of it or nothing.

    Files that are no DICOM images (and a DICOMDIR, which lists patients) are left out and counted.

    Args:
        given: A file, a ``.zip`` or a folder.
        folder: Where they go; new, or empty.
        identity: Who the patient is to be instead, and the secret that makes new identifiers.
        options: What may be kept; None for nothing.
        overwrite: Whether such files in ``folder`` may be replaced.
        report: A JSON file for what was changed, attribute by attribute and without values; it appears with the folder.

    Returns:
        How many were written and left out, warnings, and what was changed.

    Raises:
        InputError: For damaged files, or where there are no images.
        OutputError: Where ``folder`` holds something else, lies within ``given``, or cannot be made.
        TextFoundError: Where the only image has text drawn into it.
        FaceError: Where the only image may show a face.
    """
    check_new_folder(folder, ours=_is_ours, overwrite=overwrite)
    if given.is_dir() and folder.resolve().is_relative_to(given.resolve()):
        raise OutputError(f"{folder} is within {given}, whose files it would join; give another folder")
    found = sources(given)
    written = left_out = 0
    warned: set[str] = set()
    changes, ties = Changes(), cache(lambda: staying_certificates(found))
    with atomic_files() as place, new_folder(folder, ours=_is_ours, overwrite=overwrite, also=place) as partial:
        for source in found:
            data = source.read()
            if len(found) > 1 and not is_dicom(data):
                left_out += 1
                continue
            before = read_dataset(source.name, data)
            if text_of(before.file_meta, "MediaStorageSOPClassUID", source.name) == DICOMDIR:
                left_out += 1
                continue
            if len(found) > 1 and holds_manifest(before):
                warned.add(
                    "the manifest of a series was left out, since it lists what was changed here; `ctrecon verify "
                    "--pixels-only` checks the rest"
                )
                left_out += 1
                continue
            if len(found) > 1 and holds_certificate(before) and not names_nobody(before):
                warned.add("certificates that hold more than their numbers were left out, such as the name of a file")
                left_out += 1
                continue
            if len(found) > 1 and holds_certificate(before) and hash_of(before) not in ties():
                warned.add(
                    "certificates were left out whose images are not beside them, or show other pixels than they say"
                )
                left_out += 1
                continue
            if len(found) > 1 and is_document(before):
                warned.add(
                    "reports and other documents were left out: all of their text may identify; what those of ctrecon "
                    "prove stands in the certificates, too"
                )
                left_out += 1
                continue
            if not (is_document(before) or holds_certificate(before) or has_pixels(before)):
                if len(found) == 1:
                    held = UID(text_of(before, "SOPClassUID", source.name), validation_mode=IGNORE).name
                    raise InputError(f"{source.name}: holds no image but {short(held)}; only images are de-identified")
                warned.add("objects without an image were left out, such as plans, presentation states and waveforms")
                left_out += 1
                continue
            try:
                clean, _ = deidentified_bytes(source.name, data, identity, options, changes, ties)
            except (TextFoundError, FaceError) as error:
                if len(found) == 1:
                    raise
                which = "that may show a face" if isinstance(error, FaceError) else "into which text may be drawn"
                warned.add(f"images {which} were left out, such as {error}")
                left_out += 1
                continue
            warned |= _warnings(before, source.name)
            written += 1
            partial.joinpath(f"{written:05d}.dcm").write_bytes(clean)
        if not written:
            raise InputError(f"{given}: holds no DICOM images")
        done = Deidentified(
            written=written, left_out=left_out, warnings=tuple(sorted(warned)), changes=tuple(changes.rows())
        )
        if report is not None:
            codes = (options or Options()).codes(move_dates=identity.move_dates)
            told = {"written": written, "left_out": left_out, "codes": codes, "changes": list(done.changes)}
            place(report).write_text(json.dumps(told, indent=1), encoding="ascii")
    return done


def _is_ours(name: str) -> bool:
    return re.fullmatch(r"\d{5,}\.dcm", name) is not None


def _warnings(ds: FileDataset, name: str) -> set[str]:
    burned = text_of(ds, "BurnedInAnnotation", name)
    told: set[str] = set()
    if burned == "YES":
        told.add("files say that text is burned into their pixels (BurnedInAnnotation YES): it is still there, look")
    elif burned != "NO" and "PixelData" in ds:
        told.add("files do not say whether text is burned into their pixels: pixels are not changed, look at them")
    if may_show_a_face(ds, name):
        told.add(
            "images of heads: a face can be recognised in a volume; pixels are not changed, and the files say so "
            "(RecognizableVisualFeatures YES); --clean-faces leaves them out"
        )
    return told
