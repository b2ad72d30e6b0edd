"""New names for patients and UIDs: keyed hashes, the same for the same secret, so that references still lead somewhere.

Without the secret nobody can test a guess. Dates move by a number of days that belongs to the patient.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from dataclasses import dataclass

from pydicom.uid import UID

from ctrecon.errors import InputError

_MOST_DAYS = 3650


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes the new names: ``secret`` (16 bytes or more), and whether dates are moved instead of removed."""

    secret: bytes
    move_dates: bool = False

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise InputError(f"the secret must have at least 16 bytes, got {len(self.secret)}; make a longer one")

    def _hash(self, kind: str, value: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}\0{value}".encode(), hashlib.sha256)

    def uid(self, value: str) -> UID:
        """A new UID: ``2.25.`` and 122 bits of the hash, laid out as a UUID of version 8 (PS3.5, B.2).

        Args:
            value: The UID in the file.

        Returns:
            The same for the same value and secret.
        """
        number = int.from_bytes(self._hash("uid", value.strip("\0 "))[:16], "big")
        number = number & ~(0xF << 76) | (8 << 76)
        return UID(f"2.25.{number & ~(3 << 62) | (2 << 62)}")

    def patient(self, value: str) -> str:
        """A new name for a patient.

        Args:
            value: What the files know the patient by.

        Returns:
            ``ANON-`` and 16 hexadecimal digits, the same for the same value and secret.
        """
        return "ANON-" + self._hash("patient", value.strip()).hex()[:16].upper()

    def days(self, patient: str) -> int:
        """How far this patient's dates move into the past.

        Args:
            patient: What the files know the patient by.

        Returns:
            From 1 to 3,650 days, the same for the same patient and secret.
        """
        return 1 + int.from_bytes(self._hash("days", patient.strip())[:8], "big") % _MOST_DAYS

    def moved(self, vr: str, text: str, patient: str) -> str:
        """A date earlier by the patient's days, a time as it is; zones, and what is neither, removed.

        Args:
            vr: ``DA``, ``DT`` or ``TM``.
            text: The value in the file.
            patient: What the files know the patient by.

        Returns:
            The new value, empty where it is none or would be before the year 1.
        """
        if vr == "TM":
            return text if re.fullmatch(r"[0-2]\d([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", text) else ""
        found = re.fullmatch(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?", text)
        if found is None or (vr == "DA" and found[0] != found[1]):
            return ""
        try:
            day = datetime.datetime.strptime(found[1], "%Y%m%d") - datetime.timedelta(days=self.days(patient))
        except (ValueError, OverflowError):
            return ""
        return f"{day:%Y%m%d}" + (found[2] or "")
