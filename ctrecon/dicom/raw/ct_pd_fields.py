"""The attributes of one DICOM-CT-PD file as numbers and words; every error names file, attribute and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes, ExplicitVRBigEndian

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_bounds import PHOTONS, PRIVATE, PUBLIC, check_bounds
from ctrecon.errors import InputError
from ctrecon.support.arrays import Array


class Fields:
    """The attributes of one file; every error names file, attribute and remedy."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self.path, self._dataset = path, dataset
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        if syntax is not None and syntax not in AllTransferSyntaxes:
            raise InputError(f"{path}: its transfer syntax {str(syntax)[:64]!r} is not known; copy it again")
        self._little = syntax != ExplicitVRBigEndian
        self._compressed = bool(syntax is not None and syntax.is_encapsulated)

    def public(self, keyword: str, default: Any) -> Any:
        try:
            value = self._dataset.get(keyword)
        except Exception:  # a value that its own representation does not allow
            raise InputError(f"{self.path}: {keyword} cannot be read; export the scan again") from None
        return default if value is None or value == "" else value

    def whole(self, keyword: str, default: int | None) -> int:
        value = self.public(keyword, default)
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{self.path}: {keyword} must be one whole number, got {str(value)[:40]!r}") from None

    def _raw(self, tag: tags.Tag) -> tuple[float, ...] | str | None:
        if tag.number not in self._dataset:
            return None
        try:
            # The bytes as they stand in the file, whatever representation it gives them.
            value = self._dataset.get_item(tag.number).value
        except Exception:  # pydicom converts some nevertheless
            raise InputError(f"{self.path}: {tag} cannot be read; export the scan again") from None
        if value is None:
            return None
        return tags.decode(tag, value, little_endian=self._little, source=self.path)

    def text(self, tag: tags.Tag, default: str | None = None) -> str:
        value = self._raw(tag)
        if isinstance(value, str) and value:
            return value
        if default is None:
            raise self._missing(tag)
        return default

    def one_of(self, tag: tags.Tag, known: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(tag, default)
        if value not in known:
            raise InputError(f"{self.path}: {tag} is {value[:40]!r}; only {', '.join(known)} can be read")
        return value

    def numbers(self, tag: tags.Tag, count: int) -> tuple[float, ...]:
        value = self._raw(tag)
        if value is None:
            raise self._missing(tag)
        if isinstance(value, str) or len(value) != count or not bool(np.isfinite(value).all()):
            raise InputError(f"{self.path}: {tag} must be {count} finite numbers, got {str(value)[:60]}")
        return value

    def number(self, tag: tags.Tag, default: float | None = None) -> float:
        if default is not None and self._raw(tag) is None:
            return default
        return self.numbers(tag, 1)[0]

    def bounded(self, tag: tags.Tag, default: float | None = None) -> float:
        """One number within ``PRIVATE``."""
        return check_bounds(self.path, tag, self.number(tag, default), PRIVATE[tag])

    def bounded_public(self, keyword: str) -> float | None:
        """One number of the standard's within ``PUBLIC``; None where the file does not have it."""
        found = self.bounded_publics(keyword, 1)
        return found[0] if found else None

    def bounded_publics(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """So many numbers of the standard's within ``PUBLIC``; None where the file does not have them."""
        value = self.public(keyword, None)
        if value is None:
            return None
        several = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
        try:
            found = tuple(check_bounds(self.path, keyword, float(one), PUBLIC[keyword]) for one in several)
        except (TypeError, ValueError):
            found = ()
        if len(found) != count:
            what = "one number" if count == 1 else f"{count} numbers"
            raise InputError(f"{self.path}: {keyword} must be {what}, got {str(value)[:40]!r}; export the scan again")
        return found

    def count(self, tag: tags.Tag) -> int:
        value = self.number(tag)
        if value < 1 or value != int(value):
            raise InputError(f"{self.path}: {tag} must be a whole number from 1, got {value:g}; export the scan again")
        return int(value)

    def photons(self, columns: int) -> Array | None:
        value = self._raw(tags.PHOTONS)
        if value is None:
            return None
        photons = np.asarray(value)
        if photons.shape not in ((1,), (columns,)) or not all(map(PHOTONS.hold, photons.tolist())):
            raise InputError(
                f"{self.path}: {tags.PHOTONS} must be {columns} numbers > 0, one per column and {PHOTONS}, got "
                f"{photons.size}; export the scan again"
            )
        return np.broadcast_to(photons, (columns,))

    def scale(self) -> tuple[float, float]:
        found = []
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            value = self.public(keyword, None)
            if value is None:
                raise InputError(f"{self.path}: {keyword} is missing, so pixels mean nothing; export the scan again")
            try:
                found.append(float(value))
            except (TypeError, ValueError):
                raise InputError(f"{self.path}: {keyword} must be a number, got {str(value)[:40]!r}") from None
        if found[0] == 0 or not bool(np.isfinite(found).all()):
            raise InputError(f"{self.path}: RescaleSlope {found[0]:g} and RescaleIntercept {found[1]:g} make no scale")
        if found[0] < 0:
            raise InputError(f"{self.path}: RescaleSlope is {found[0]:g}, so more matter would let more rays through")
        return found[0], found[1]

    def check_stored(self, rows: int, columns: int) -> bool:
        """Whether the image stands upright (Rows are detector rows); raises where it has neither shape."""
        stored = (self.whole("Rows", 0), self.whole("Columns", 0))
        if self.whole("SamplesPerPixel", 1) != 1 or self.whole("NumberOfFrames", 1) != 1:
            raise InputError(f"{self.path}: holds several frames or colours; a projection is one grey image")
        bits = self.whole("BitsAllocated", 16)
        if bits != 16:
            raise InputError(f"{self.path}: has {bits} bits a pixel, a projection has 16")
        if stored == (columns, rows):
            return False
        if stored == (rows, columns):
            return True
        raise InputError(
            f"{self.path}: its image is {stored[0]} x {stored[1]}, its detector {columns} columns of {rows} cells; "
            "they must agree, export the scan again"
        )

    def native_pixels(self) -> npt.NDArray[np.uint16] | None:
        """All bits of the pixels, in no shape; None where they are compressed."""
        if self._compressed:
            return None
        data = bytes(self._dataset.PixelData)
        return np.frombuffer(data[: len(data) // 2 * 2], "<u2" if self._little else ">u2").astype(np.uint16)

    def states(self, tag: tags.Tag) -> bool:
        """Whether the file has a value for ``tag``; an empty one is none."""
        value = self._raw(tag) if tag.number in self._dataset else None
        return value not in (None, "", ())

    def has_any(self, wanted: tuple[tags.Tag, ...]) -> bool:
        """Whether the file has one of these attributes at all."""
        return any(tag.number in self._dataset for tag in wanted)

    def _missing(self, tag: tags.Tag) -> InputError:
        return InputError(f"{self.path}: {tag} is missing, so this is no DICOM-CT-PD projection; check the folder")
