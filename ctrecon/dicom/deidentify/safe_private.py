"""What of private attributes may stay in a de-identified file: numbers, hashes, and certificates that name nobody.

Of other makers' blocks, the numbers that PS3.15, Table E.3.10-1 lists as safe and that CT has. Of our own: anybody can
write a block ``CTRECON``, so nothing in it is believed, and a value stays only where it can be nothing but what we
write. A certificate stays where its words are those that the checker makes of its numbers, and its source is null; its
data, where every byte is an array's header or value; and where its images stand beside it (``staying.py``).
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import RawDataStorage

from ctrecon.certificates import verify
from ctrecon.certificates.parts import versions
from ctrecon.certificates.verify import Json, Refused, require
from ctrecon.dicom.common.private import CREATOR, GROUP, HASH, PIXEL, WATER
from ctrecon.dicom.series.raw_certificate import ELEMENTS, LENGTHS, files_of, hash_of

_FARTHEST_MM = 1e5
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}((a|b|rc)\d{1,3})?(\.post\d{1,4})?(\.dev\d{1,5})?")
_MADE_WITH = {"ctrecon", "python", "numpy", "scipy"}
_NUMBERS = {WATER: 1, PIXEL: 2}  # how many at most
# Group, creator, element: numbers of Table E.3.10-1 (pitch, rotation, table, rows of the detector, SUV).
_LISTED = (
    (0x0019, "GEMS_ACQU_01", 0x23), (0x0019, "GEMS_ACQU_01", 0x24), (0x0019, "GEMS_ACQU_01", 0x27),
    (0x0045, "GEMS_HELIOS_01", 0x01), (0x0045, "GEMS_HELIOS_01", 0x02), (0x00E1, "ELSCINT1", 0x21),
    (0x00E1, "ELSCINT1", 0x50), (0x01F1, "ELSCINT1", 0x07), (0x01F1, "ELSCINT1", 0x26), (0x01F1, "ELSCINT1", 0x27),
    (0x7053, "Philips PET Private Group", 0x00), (0x7053, "Philips PET Private Group", 0x09),
)  # fmt: skip
_CERTIFICATE = frozenset((*ELEMENTS.values(), LENGTHS))


def no_certificates() -> frozenset[str]:
    """Of a file by itself."""
    return frozenset()


def safe_elements(ds: Dataset, certificates: Callable[[], Collection[str]] = no_certificates) -> frozenset[int]:
    """The tags of private blocks in ``ds`` that may stay, their creators' included; none where there are none.

    ``certificates``: hashes of those that stay with their images; an image's tie to any other could be any 32 bytes, as
    could what any other says of its image.
    """
    certificate: bool | None = None
    kept: set[int] = set()
    creators: set[int] = set()
    for group, creator, offset in _LISTED:
        if creator in ds.private_creators(group):
            block = ds.private_block(group, creator)
            if offset in block and _is_number(block[offset].value):
                kept.add(block.get_tag(offset))
                creators.add(block.get_tag(offset) & 0xFFFF0000 | block.block_start >> 8)
    for element in ds.group_dataset(GROUP):
        tag = element.tag
        place = (GROUP << 16) | (tag.element >> 8)
        if tag.is_private_creator or str(ds[place].value if place in ds else "") != CREATOR:
            continue
        offset = tag.element & 0xFF
        if offset in _CERTIFICATE and certificate is None:
            certificate = _stays(ds, certificates)
        if (offset in _CERTIFICATE and certificate) or _is_tie(offset, element, ds, certificates):
            kept.add(int(tag))
            creators.add(place)
    return frozenset(kept | creators)


def holds_certificate(ds: Dataset) -> bool:
    """Whether it is raw data of ours, with a certificate that may stay or must go."""
    return ds.get("SOPClassUID") == RawDataStorage and CREATOR in ds.private_creators(GROUP)


def _stays(ds: Dataset, certificates: Callable[[], Collection[str]]) -> bool:
    return ds.get("SOPClassUID") == RawDataStorage and names_nobody(ds) and hash_of(ds) in certificates()


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


def _is_number(value: Any) -> bool:
    """One number that text cannot pass for: in text plain digits, in single precision within 1e-3 and 1e3."""
    if isinstance(value, float | int):
        return value == 0 or (math.isfinite(value) and 1e-3 <= abs(value) <= 1e3)
    return re.fullmatch(r"[+-]?\d{1,4}(\.\d{1,6})?", str(value).strip()) is not None


def _is_tie(offset: int, element: DataElement, ds: Dataset, certificates: Callable[[], Collection[str]]) -> bool:
    """Numbers (two sides where pixels are not square) and a hash. Under implicit VR, where nobody says what they are,
    they arrive as bytes. Eight letters would be a number, too: water's attenuation is within what it can be, and as
    short as a person writes it or of single precision; the sides are those that PixelSpacing says.
    """
    value = element.value
    if offset == HASH:
        return not value or (bool(_HASH.fullmatch(_text(value))) and _text(value) in certificates())
    if offset not in _NUMBERS:
        return False
    if isinstance(value, bytes):
        if len(value) not in (8, 8 * _NUMBERS[offset]):
            return False
        numbers = list(struct.unpack(f"<{len(value) // 8}d", value))
    else:
        numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if len(numbers) not in (1, _NUMBERS[offset]) or not all(isinstance(number, float) for number in numbers):
        return False
    return _is_water(numbers[0]) if offset == WATER else _are_sides(numbers, ds)


def _is_water(value: float) -> bool:
    return 1e-4 < value < 1 and (float(f"{value:.9g}") == value or float(np.float32(value)) == value)


def _are_sides(numbers: list[float], ds: Dataset) -> bool:
    said = ds.get("PixelSpacing")
    if said is None or len(said) != 2:
        return False
    return all(abs(a - float(b)) <= 1e-9 * abs(a) for a, b in zip((numbers[0], numbers[-1]), said, strict=True))


def _text(value: Any) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip(" \0")


def _check(files: dict[str, bytes]) -> None:
    """Raises Refused, or what a damaged certificate leads to."""
    v = verify.parse_certificate(files[""])
    limits, kind = {verify.LIMITS["feasible"]}, verify.KINDS["feasible"]
    whole = "slices" in v["operator"].get("grid", {})  # of a volume the grid says where slices stand
    image = {**kind["image"], **({} if whole else {"z_mm": verify.NUMBER})}
    verify.fits(v, {**kind, "image": image, "kind": {"feasible"}, "limits": limits}, "the certificate")
    z_mm = v["operator"]["grid"]["centre_mm"][2] if whole else v["image"]["z_mm"]
    require(abs(z_mm) < _FARTHEST_MM, "it stands where no slice does")
    require(v["source"] is None, "it names the file that the data came from")
    require(set(v["made_with"]) == _MADE_WITH, "it was made with other programs")
    ours = versions()["ctrecon"]  # which may name a commit
    plain = (bool(_VERSION.fullmatch(text)) or text == ours for text in v["made_with"].values())
    require(all(plain), "its versions are none")
    operator, data = v["operator"], v["data"]
    name = verify.check_operator(operator, v["image"]["shape"], data["shape"])
    require(v["image"]["unit"] in (None, "1/mm", "1/cell"), "its unit is none")
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
