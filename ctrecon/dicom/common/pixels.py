"""Stored values of DICOM images: the one place where pixels are decoded, whatever the transfer syntax.

Lossless syntaxes give the same integers as uncompressed ones. Bits above Bits Stored are masked (older scanners left
overlays there), so values are what PS3.3, C.7.6.3 says and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from ctrecon.dicom.common.codestream import check_frame
from ctrecon.dicom.common.files import count_of, refusing, short, text_of, value_of
from ctrecon.errors import InputError
from ctrecon.support.arrays import Int32Array
from ctrecon.support.limits import MAX_BYTES, check_claim

MAX_SIDE = 16384

NATIVE = frozenset(
    (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian,
     uid.DeflatedExplicitVRLittleEndian)
)  # fmt: skip
# One decoder for each, so that results do not depend on what else is installed.
_PLUGINS = {
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pylibjpeg", uid.JPEGExtended12Bit: "pylibjpeg",
    uid.JPEGLossless: "pylibjpeg", uid.JPEGLosslessSV1: "pylibjpeg",
    uid.JPEGLSLossless: "pyjpegls", uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg", uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg", uid.HTJ2KLosslessRPCL: "pylibjpeg", uid.HTJ2K: "pylibjpeg",
}  # fmt: skip
# Spectral selection and full progression were retired and pydicom has no entry for them; libjpeg reads them.
_PROGRESSIVE = frozenset((uid.UID("1.2.840.10008.1.2.4.53"), uid.UID("1.2.840.10008.1.2.4.55")))


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How the pixels of a file are stored. ``frames`` of ``rows`` x ``columns`` grey values."""

    frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    inverted: bool
    syntax: uid.UID


def pixel_format(ds: FileDataset, name: str) -> PixelFormat:
    """What the header says of the pixels. Raises InputError for what is no grey image, or could not be held."""
    if "PixelData" not in ds:
        raise InputError(f"{name}: has no pixel data (PixelData); give an image")
    samples, photometric = count_of(ds, "SamplesPerPixel", name, 1), text_of(ds, "PhotometricInterpretation", name)
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        kind = short(photometric) or "PhotometricInterpretation missing"
        raise InputError(f"{name}: is a colour image ({kind}), not grey")
    rows, columns = count_of(ds, "Rows", name), count_of(ds, "Columns", name)
    allocated = count_of(ds, "BitsAllocated", name)
    stored = count_of(ds, "BitsStored", name, allocated)
    high = count_of(ds, "HighBit", name, stored - 1)
    sign = count_of(ds, "PixelRepresentation", name)
    frames = count_of(ds, "NumberOfFrames", name, 1)
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise InputError(f"{name}: claims {rows} x {columns} pixels; between 1 and {MAX_SIDE} to a side can be read")
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or high != stored - 1 or sign > 1:
        raise InputError(
            f"{name}: BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}, PixelRepresentation {sign} do "
            "not fit together; 8, 16 or 32 bits with HighBit = BitsStored - 1 can be read"
        )
    if stored == 32 and not sign:
        raise InputError(f"{name}: stores 32 bits without sign, more than CT has; up to 31 can be read")
    if frames < 1 or frames * rows * columns * 4 > MAX_BYTES:
        raise InputError(
            f"{name}: claims {frames} frames of {rows} x {columns} pixels, more than the limit of {MAX_BYTES} bytes"
        )
    form = PixelFormat(
        frames=frames, rows=rows, columns=columns, bits_allocated=allocated, bits_stored=stored, signed=bool(sign),
        inverted=photometric == "MONOCHROME1", syntax=uid.UID(str(ds.file_meta.TransferSyntaxUID)),
    )  # fmt: skip
    _check_amount(name, _pixel_data(ds, name), form)
    return form


def _pixel_data(ds: FileDataset, name: str) -> bytes:
    data = value_of(ds, "PixelData", name, b"")
    if not isinstance(data, bytes):
        raise InputError(f"{name}: its PixelData are no bytes; the file is damaged")
    return data


def _check_amount(name: str, data: bytes, form: PixelFormat) -> None:
    """Raises InputError, before anything is allocated, unless the data may hold all that the header claims."""
    claimed = form.frames * form.rows * form.columns * form.bits_allocated // 8
    if form.syntax not in NATIVE:
        check_claim(Path(name), "its pixel data", claimed, len(data))
    elif len(data) < claimed:
        raise InputError(
            f"{name}: has {len(data)} bytes of pixel data where {form.frames} frames of {form.rows} x {form.columns} "
            f"need {claimed}; the file is cut off, copy it again"
        )


def stored_frames(ds: FileDataset, name: str, form: PixelFormat) -> Iterator[Int32Array]:
    """The frames in order, each ``[rows, columns]``: values as stored, sign and all.

    ``form`` is of the same dataset. Raises InputError for a syntax that is not read, and for damaged frames.
    """
    data = _pixel_data(ds, name)
    if form.syntax in NATIVE:
        yield from _native(data, form)
    elif form.syntax in _PLUGINS or form.syntax in _PROGRESSIVE:
        yield from _compressed(ds, data, name, form)
    else:
        raise InputError(f"{name}: transfer syntax {form.syntax} ({form.syntax.name}) cannot be decoded here; "
                         "convert it with dcmconv")  # fmt: skip


def _native(data: bytes, form: PixelFormat) -> Iterator[Int32Array]:
    size = form.rows * form.columns * form.bits_allocated // 8
    order = ">" if form.syntax == uid.ExplicitVRBigEndian else "<"
    kind = np.dtype(f"{order}u{form.bits_allocated // 8}")
    for k in range(form.frames):
        raw = np.frombuffer(data, dtype=kind, count=form.rows * form.columns, offset=k * size)
        yield _as_stored(raw.reshape(form.rows, form.columns), form)


def _compressed(ds: FileDataset, data: bytes, name: str, form: PixelFormat) -> Iterator[Int32Array]:
    with refusing(f"{name}: its compressed frames cannot be found"):
        encoded = []
        for frame in generate_frames(data, number_of_frames=form.frames):
            encoded.append(frame)
            if len(encoded) > form.frames:
                break
    if len(encoded) != form.frames:
        raise InputError(f"{name}: has {len(encoded)} compressed frames where the header says {form.frames}")
    for k, frame in enumerate(encoded):
        if form.syntax != uid.RLELossless:
            check_frame(name, frame, form.rows, form.columns)
        with refusing(f"{name}: frame {k + 1} of its compressed pixel data cannot be decoded"):
            if form.syntax in _PROGRESSIVE:
                from libjpeg.utils import decode  # no types, and only ever needed here

                values = np.asarray(decode(frame))
            else:
                decoder = get_decoder(form.syntax)
                values, _ = decoder.as_array(ds, index=k, raw=True, decoding_plugin=_PLUGINS[form.syntax])
        if values.shape != (form.rows, form.columns) or values.dtype.kind not in "iu":
            raise InputError(f"{name}: frame {k + 1} decodes to shape {values.shape}; the file is damaged")
        yield _as_stored(values, form)


def _as_stored(values: npt.NDArray[Any], form: PixelFormat) -> Int32Array:
    """Bits above BitsStored masked, the sign extended from its highest bit."""
    wide: type[np.integer[Any]] = np.int64 if form.bits_stored > 30 else np.int32
    bits: npt.NDArray[Any] = values.astype(wide) & ((1 << form.bits_stored) - 1)
    if form.signed:
        sign = 1 << (form.bits_stored - 1)
        bits = (bits ^ sign) - sign
    stored: Int32Array = bits.astype(np.int32, copy=False)
    return stored
