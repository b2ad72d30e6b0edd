"""What of our own private block may stay in a de-identified file: numbers, hashes, and certificates that name nobody.

Anybody can write a block ``CTRECON``, so nothing in it is believed: a value stays only where it can be nothing but what
we write. A certificate stays where its words are those that the checker makes of its numbers, and its source is null;
its data, where every byte is an array's header or value.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import RawDataStorage

from ctrecon.certificates import verify
from ctrecon.certificates.verify import Json, Refused, require
from ctrecon.dicom.common.private import CREATOR, GROUP, HASH, PIXEL, WATER
from ctrecon.dicom.series.raw_certificate import ELEMENTS, LENGTHS, files_of

_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9a-z.+-]{1,40}")
_MADE_WITH = {"ctrecon", "python", "numpy", "scipy"}
_NUMBERS = {WATER: 1, PIXEL: 2}  # how many at most
_CERTIFICATE = frozenset((*ELEMENTS.values(), LENGTHS))


def safe_elements(ds: Dataset) -> frozenset[int]:
    """The tags of our private block in ``ds`` that may stay, its creator's included; none where there are none."""
    certificate: bool | None = None
    kept, creators = set(), set()
    for element in ds.group_dataset(GROUP):
        tag = element.tag
        place = (GROUP << 16) | (tag.element >> 8)
        if tag.is_private_creator or str(ds[place].value if place in ds else "") != CREATOR:
            continue
        offset = tag.element & 0xFF
        if offset in _CERTIFICATE and certificate is None:
            certificate = ds.get("SOPClassUID") == RawDataStorage and names_nobody(ds)
        if (offset in _CERTIFICATE and certificate) or _is_tie(offset, element):
            kept.add(int(tag))
            creators.add(place)
    return frozenset(kept | creators)


def holds_certificate(ds: Dataset) -> bool:
    """Whether it is raw data of ours, with a certificate that may stay or must go."""
    return ds.get("SOPClassUID") == RawDataStorage and CREATOR in ds.private_creators(GROUP)


def names_nobody(ds: Dataset) -> bool:
    """Whether the certificate in raw data holds nothing but what can be made from its numbers."""
    try:
        files = files_of(ds)
        _check(files)
        block = ds.private_block(GROUP, CREATOR)
        for name, element in ELEMENTS.items():
            raw, part = bytes(block[element].value) if element in block else b"", files.get(name, b"")
            require(raw == part + b"\0" * (len(part) % 2), "it holds more than its parts")
        return bool(re.fullmatch(r"\d+( \d+){3}", _text(block[LENGTHS].value)))
    except Exception:  # damaged in any of many ways
        return False


def _is_tie(offset: int, element: DataElement) -> bool:
    """Numbers (two sides where pixels are not square) and a hash. Under implicit VR, where nobody says what they are,
    they arrive as bytes.
    """
    value = element.value
    if offset in _NUMBERS:
        if isinstance(value, bytes):
            return len(value) in (8, 8 * _NUMBERS[offset])
        several = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return len(several) in (1, _NUMBERS[offset]) and all(isinstance(number, float) for number in several)
    return offset == HASH and (not value or bool(_HASH.fullmatch(_text(value))))


def _text(value: Any) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip(" \0")


def _check(files: dict[str, bytes]) -> None:
    """Raises Refused, or what a damaged certificate leads to."""
    v = verify.parse_certificate(files[""])
    limits = {verify.LIMITS["feasible"]}
    verify.fits(v, {**verify.KINDS["feasible"], "kind": {"feasible"}, "limits": limits}, "the certificate")
    require(v["source"] is None, "it names the file that the data came from")
    require(set(v["made_with"]) == _MADE_WITH, "it was made with other programs")
    require(all(_VERSION.fullmatch(text) for text in v["made_with"].values()), "its versions are none")
    operator, data = v["operator"], v["data"]
    name = verify.check_operator(operator, v["image"]["shape"], data["shape"])
    require(v["image"]["unit"] in (None, "1/mm"), "its unit is none")
    require(v["image"]["pixel_mm"] == operator.get("grid", {}).get("pixel_mm"), "its pixels have another size")
    parts = {"data": data, "weights": v["weights"], "matrix": operator.get("entries")}
    claims: dict[str, Json] = {part: claim for part, claim in parts.items() if claim is not None}
    require(set(claims) | {""} == set(files), "it has other parts than it states")
    zeros = 0
    for part, claim in claims.items():
        verify.fits(claim, verify.FLOATS, part)
        values = _values(files[part], claim)
        zeros += int((values == 0).sum()) if part == "weights" else 0
    for claim in (*claims.values(), v["image"]):
        require(bool(_HASH.fullmatch(claim["sha256"])), "its hash is none")
    require(v["statement"] == verify.statement(v, name, zeros), "it says other things than its numbers")


def _values(raw: bytes, claim: Json) -> verify.Array:
    """The array, if ``raw`` is exactly its ``.npy`` file, whose header could say more otherwise. Raises Refused."""
    stream = io.BytesIO()
    header = {"descr": claim["dtype"], "fortran_order": False, "shape": tuple(claim["shape"])}
    np.lib.format.write_array_header_1_0(stream, header)
    start = stream.getvalue()
    require(raw.startswith(start), "its array begins otherwise")
    require(hashlib.sha256(raw).hexdigest() == claim["sha256"], "its array has another hash")
    values = np.frombuffer(raw, np.dtype(claim["dtype"]), offset=len(start))
    if values.size != int(np.prod(claim["shape"], dtype=object)) or not bool(np.isfinite(values).all()):
        raise Refused("its array has another length, or is not finite")
    return values
