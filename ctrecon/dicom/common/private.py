"""The private block that ties a DICOM file to its certificate: creator ``CTRECON`` in group 0071."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

CREATOR = "CTRECON"
GROUP = 0x0071
WATER, PIXEL, HASH = 0x01, 0x02, 0x03
MANIFEST, SIGNATURE, KEY = 0x20, 0x21, 0x22


@dataclass(frozen=True, kw_only=True)
class Tie:
    """``water_mu`` in 1/mm, exactly; from row to row and from column to column in mm, exactly (DS has 16 characters
    only), stored as one number where they are equal; the certificate's own hash, ``""`` where there is no certificate.
    """

    water_mu: float
    spacing_mm: tuple[float, float]
    certificate_sha256: str


def write_tie(dataset: Dataset, tie: Tie) -> None:
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(WATER, "FD", tie.water_mu)
    tall, wide = tie.spacing_mm
    block.add_new(PIXEL, "FD", tall if tall == wide else [tall, wide])
    block.add_new(HASH, "LO", tie.certificate_sha256)


def read_tie(dataset: Dataset) -> Tie | None:
    """The tie, or None where the file has none or it is damaged. Under implicit VR its values arrive as bytes."""
    try:
        block = dataset.private_block(GROUP, CREATOR)
        numbers: list[tuple[float, ...]] = []
        for offset in (WATER, PIXEL):
            value = block[offset].value
            if isinstance(value, bytes):
                numbers.append(struct.unpack(f"<{len(value) // 8}d", value))
            else:
                numbers.append(tuple(float(part) for part in (value if isinstance(value, Sequence) else [value])))
        sha256 = block[HASH].value or ""
        text = sha256.decode("ascii") if isinstance(sha256, bytes) else str(sha256)
    except (KeyError, ValueError, TypeError, struct.error):
        return None
    if not all(math.isfinite(number) and number > 0 for several in numbers for number in several):
        return None
    (water, *others), spacing = numbers
    if others or len(spacing) not in (1, 2):
        return None
    return Tie(water_mu=water, spacing_mm=(spacing[0], spacing[-1]), certificate_sha256=text.strip())
