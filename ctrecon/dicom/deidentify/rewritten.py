"""Pixel data written anew, uncompressed and to exactly what rows, columns, frames and bits need.

A container has room for more than pixels: bytes after the last of them, further fragments, segments of an application
or a comment, boxes with colour profiles, palettes longer than what is used, bits above Bits Stored (where older
scanners kept overlays), bits of a NaN. So nothing of it is copied: the pixels are decoded, and these are written.
Lossless syntaxes give the same stored values, lossy ones what they decoded to. Palettes and other colour spaces become
RGB.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from ctrecon.dicom.common.codestream import frame_size
from ctrecon.dicom.common.files import count_of, refusing, short, text_of, value_of
from ctrecon.dicom.common.pixels import MAX_SIDE, NATIVE, pixel_format, stored_frames
from ctrecon.errors import InputError
from ctrecon.support.limits import check_claim

_GREY = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_NATIVE_COLOUR = ("RGB", "YBR_FULL")
_DECODED_COLOUR = (*_NATIVE_COLOUR, "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_LOSSY = frozenset(
    (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K,
     uid.UID("1.2.840.10008.1.2.4.53"), uid.UID("1.2.840.10008.1.2.4.55"))
)  # fmt: skip
_FLOATS = {"FloatPixelData": "<f4", "DoubleFloatPixelData": "<f8"}


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """The element to write, of ``data`` bytes (an even number), and the attributes that describe it now.

    ``frames``: the stored values ``[frames, rows, columns]`` or ``[frames, rows, columns, samples]``.
    """

    keyword: str
    data: bytes
    frames: npt.NDArray[Any] = field(repr=False)
    attributes: dict[str, Any]


def rewritten(ds: FileDataset, name: str) -> Rewritten | None:
    """The pixels of ``ds`` and nothing else, None where there are none.

    Args:
        ds: A dataset; it is not changed.
        name: The file's name, for messages.

    Returns:
        What to write in the place of its pixel data, in little endian.

    Raises:
        InputError: Where the data are shorter than claimed, or cannot be decoded.
    """
    for keyword, real in _FLOATS.items():
        if keyword in ds:
            return _floats(ds, name, keyword, real)
    if "PixelData" not in ds:
        return None
    syntax = uid.UID(str(ds.file_meta.TransferSyntaxUID))
    if "ModalityLUTSequence" in ds:
        raise InputError(
            f"{name}: its values have a meaning only through a table (ModalityLUTSequence), which could hold anything; "
            "store the values that it gives, with RescaleSlope and RescaleIntercept"
        )
    photometric = text_of(ds, "PhotometricInterpretation", name)
    samples = count_of(ds, "SamplesPerPixel", name, 1)
    if samples == 1 and photometric in (*_GREY, _PALETTE):
        if syntax in NATIVE or photometric == _PALETTE:
            found = _native(ds, name, 1) if syntax in NATIVE else _decoded(ds, name, 1)
        else:
            form = pixel_format(ds, name)
            grey = np.stack(list(stored_frames(ds, name, form)))
            kind = f"<{'i' if form.signed else 'u'}{form.bits_allocated // 8}"
            found = _described(grey.astype(np.dtype(kind)), form.bits_stored, photometric)
        return _without_palette(ds, name, found) if photometric == _PALETTE else _marked(found, ds, syntax)
    if samples == 3 and syntax in NATIVE and photometric in _NATIVE_COLOUR:
        return _marked(_native(ds, name, 3), ds, syntax)
    if samples == 3 and photometric in _DECODED_COLOUR:
        return _marked(_decoded(ds, name, 3), ds, syntax)
    raise InputError(f"{name}: its {samples} samples of {short(photometric) or 'no kind'} a pixel are not understood, "
                     "so what is a pixel and what is not cannot be told")  # fmt: skip


def _shape(ds: FileDataset, name: str, samples: int) -> tuple[int, int, int, int]:
    rows, columns = count_of(ds, "Rows", name), count_of(ds, "Columns", name)
    frames = count_of(ds, "NumberOfFrames", name, 1)
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE and 0 < frames):
        raise InputError(f"{name}: claims {frames} frames of {rows} x {columns} pixels, between 1 and {MAX_SIDE} to a "
                         "side can be read")  # fmt: skip
    claimed = frames * rows * columns * samples * max(1, count_of(ds, "BitsAllocated", name, 8) // 8)
    check_claim(Path(name), "its pixel data", claimed, sum(len(ds.get(k) or b"") for k in ("PixelData", *_FLOATS)))
    return frames, rows, columns, samples


def _native(ds: FileDataset, name: str, samples: int) -> Rewritten:
    """Uncompressed integers of 1, 8, 16, 32 or 64 bits: those above Bits Stored cleared, or the sign's."""
    shape = _shape(ds, name, samples)
    allocated = count_of(ds, "BitsAllocated", name)
    stored = count_of(ds, "BitsStored", name, allocated)
    high = count_of(ds, "HighBit", name, stored - 1)
    signed = count_of(ds, "PixelRepresentation", name, 0) == 1
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= high + 1 <= allocated:
        raise InputError(
            f"{name}: BitsAllocated {allocated}, BitsStored {stored} and HighBit {high} do not fit; correct them"
        )
    count = int(np.prod(shape))
    needed = (count * allocated + 7) // 8
    data = _bytes_of(ds, name, "PixelData", needed)
    photometric = text_of(ds, "PhotometricInterpretation", name)
    if allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little").reshape(shape)
        return _described(bits, 1, photometric)
    order = ">" if str(ds.file_meta.TransferSyntaxUID) == uid.ExplicitVRBigEndian else "<"
    if allocated == 8 and order == ">" and ds["PixelData"].VR == "OW" and len(data) > 1:
        raise InputError(f"{name}: 8-bit pixels in words of big endian; convert it with dcmconv")
    kind = f"{'i' if signed else 'u'}{allocated // 8}"
    values = np.frombuffer(data, np.dtype(order + kind)).astype("<" + kind).reshape(shape)
    # Up to the top and down again: what is above goes, and of signed values the sign comes along.
    values = (values << (allocated - 1 - high)) >> (allocated - stored)
    if samples > 1 and count_of(ds, "PlanarConfiguration", name, 0) == 1:
        frames, rows, columns, _ = shape
        values = np.moveaxis(values.reshape(frames, samples, rows, columns), 1, -1)
    return _described(values, stored, photometric)


def _bytes_of(ds: FileDataset, name: str, keyword: str, needed: int) -> bytes:
    data = value_of(ds, keyword, name, b"")
    if not isinstance(data, bytes) or len(data) < needed:
        has = len(data) if isinstance(data, bytes) else 0
        raise InputError(f"{name}: has {has} bytes of pixel data where its header needs {needed}; the file is cut off, "
                         "copy it again")  # fmt: skip
    return data[:needed]


def _decoded(ds: FileDataset, name: str, samples: int) -> Rewritten:
    """What a decoder gives: of colour RGB, of palettes the entries' numbers."""
    shape = _shape(ds, name, samples)
    syntax = uid.UID(str(ds.file_meta.TransferSyntaxUID))
    with refusing(f"{name}: its pixel data cannot be decoded"):
        if syntax not in NATIVE and syntax != uid.RLELossless:
            for frame in generate_frames(ds.PixelData, number_of_frames=shape[0]):
                if frame_size(frame) != (*shape[1:3], samples):
                    raise ValueError("another size than the header's")
        values, said = get_decoder(syntax).as_array(ds, raw=samples == 1)
        photometric = "RGB" if samples > 1 else str(said["photometric_interpretation"])
        return _described(values.reshape(shape), count_of(ds, "BitsStored", name), photometric)


def _without_palette(ds: FileDataset, name: str, indices: Rewritten) -> Rewritten:
    for colour in ("Red", "Green", "Blue"):
        with refusing(f"{name}: its palette cannot be read"):
            count = int((ds.get(f"{colour}PaletteColorLookupTableDescriptor") or [0])[0]) or 65536
            has = len(ds.get(f"{colour}PaletteColorLookupTableData") or b"")
        if has and has not in (count, count + count % 2, 2 * count):
            raise InputError(f"{name}: its palette has {has} bytes for {count} entries; the file is damaged")
    with refusing(f"{name}: its palette cannot be applied"):
        frames = indices.frames
        colours = np.stack([apply_color_lut(frame.reshape(frame.shape[:2]), ds) for frame in frames])
        if colours.dtype == np.uint16 and not bool((colours & 0xFF).any()):
            colours = (colours >> 8).astype(np.uint8)
        return _described(colours[..., :3], colours.dtype.itemsize * 8, "RGB")


def _floats(ds: FileDataset, name: str, keyword: str, kind: str) -> Rewritten:
    shape = _shape(ds, name, 1)
    dtype = np.dtype(kind)
    data = _bytes_of(ds, name, keyword, int(np.prod(shape)) * dtype.itemsize)
    big = str(ds.file_meta.TransferSyntaxUID) == uid.ExplicitVRBigEndian
    values = np.frombuffer(data, dtype.newbyteorder(">") if big else dtype).astype(dtype).reshape(shape)
    values = np.where(np.isnan(values), dtype.type(np.nan), values)  # its other bits could be letters
    described = _described(values, dtype.itemsize * 8, text_of(ds, "PhotometricInterpretation", name))
    kept = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
    return Rewritten(
        keyword=keyword, data=described.data, frames=values,
        attributes={name: value for name, value in described.attributes.items() if name in kept},
    )  # fmt: skip


def _described(values: npt.NDArray[Any], bits_stored: int, photometric: str) -> Rewritten:
    little = values.astype(values.dtype.newbyteorder("<"))
    samples = values.shape[3] if values.ndim == 4 else 1
    one_bit = bits_stored == 1 and values.dtype == np.uint8
    raw = np.packbits(little, axis=None, bitorder="little").tobytes() if one_bit else little.tobytes()
    attributes: dict[str, Any] = {
        "SamplesPerPixel": samples, "PhotometricInterpretation": photometric,
        "BitsAllocated": 1 if one_bit else values.dtype.itemsize * 8, "BitsStored": bits_stored,
        "HighBit": bits_stored - 1, "PixelRepresentation": int(values.dtype.kind == "i"),
    }  # fmt: skip
    if samples > 1:
        attributes["PlanarConfiguration"] = 0
    return Rewritten(keyword="PixelData", data=raw + bytes(len(raw) % 2), frames=values, attributes=attributes)


def _marked(found: Rewritten, ds: FileDataset, syntax: uid.UID) -> Rewritten:
    """What was compressed with loss says so after it was decompressed, too (PS3.3, C.7.6.1.1.5)."""
    if syntax in _LOSSY and not str(ds.get("LossyImageCompression", "")).strip() == "01":
        found.attributes["LossyImageCompression"] = "01"
    return found
