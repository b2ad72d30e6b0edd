"""The private block that ties a DICOM file to its certificate: creator ``CTRECON`` in group 0071."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from pydicom.dataset import Dataset

CREATOR = "CTRECON"
GROUP = 0x0071
WATER, PIXEL, HASH = 0x01, 0x02, 0x03


@dataclass(frozen=True, kw_only=True)
class Tie:
    """``water_mu`` in 1/mm, exactly; the pixel's size in mm, exactly (DS has 16 characters only); the certificate's
    own hash, ``""`` where there is no certificate.
    """

    water_mu: float
    pixel_mm: float
    certificate_sha256: str


def write_tie(dataset: Dataset, tie: Tie) -> None:
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(WATER, "FD", tie.water_mu)
    block.add_new(PIXEL, "FD", tie.pixel_mm)
    block.add_new(HASH, "LO", tie.certificate_sha256)


def read_tie(dataset: Dataset) -> Tie | None:
    """The tie, or None where the file has none or it is damaged. Under implicit VR its values arrive as bytes."""
    try:
        block = dataset.private_block(GROUP, CREATOR)
        numbers = []
        for offset in (WATER, PIXEL):
            value = block[offset].value
            numbers.append(struct.unpack("<d", value)[0] if isinstance(value, bytes) else float(value))
        sha256 = block[HASH].value or ""
        text = sha256.decode("ascii") if isinstance(sha256, bytes) else str(sha256)
    except (KeyError, ValueError, TypeError, struct.error):
        return None
    if not all(math.isfinite(number) and number > 0 for number in numbers):
        return None
    return Tie(water_mu=numbers[0], pixel_mm=numbers[1], certificate_sha256=text.strip())
