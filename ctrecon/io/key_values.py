"""Text files of lines ``key = value`` in sections, as scanners write them beside their projections."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.support.plain_file import whole_file

_LARGEST = 16 * 2**20
# Of whatever is measured, in whatever unit a scanner writes it.
_FARTHEST, _NEAREST = 1e12, 1e-6


@dataclass(frozen=True)
class KeyValues:
    """Values by key, in lower case; of a key that comes twice the first counts."""

    path: Path
    values: dict[str, str]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self.values

    def text(self, key: str) -> str:
        return self.values.get(key.lower(), "")

    def number(self, key: str, default: float | None = None) -> float:
        """A number that can be measured. Raises InputError where it is missing without a default, or none."""
        text = self.text(key)
        if not text and default is not None:
            return default
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = math.nan
        if not abs(value) <= _FARTHEST:
            found = repr(text[:40]) if text else "nothing"
            raise InputError(f"{self.path}: {key} must be a number, got {found}; give the geometry by --geometry")
        return value

    def distance(self, key: str) -> float:
        """A number by which others are divided. Raises InputError where it is not positive, or next to nothing."""
        value = self.number(key)
        if value < _NEAREST:
            raise InputError(f"{self.path}: {key} must be a distance, got {value:g}; give the geometry by --geometry")
        return value

    def count(self, key: str) -> int:
        value = self.number(key)
        if value != int(value) or not 0 < value < 1e6:
            raise InputError(f"{self.path}: {key} must be a count, got {value:g}")
        return int(value)


def read_key_values(path: Path) -> KeyValues:
    """Raises InputError for a file that is too large or cannot be read."""
    text = whole_file(path, _LARGEST).decode("utf-8", "replace")
    values: dict[str, str] = {}
    for line in text.splitlines():
        found = re.fullmatch(r"\s*([^=;\[\]#][^=]*?)\s*=\s*(.*?)\s*", line)
        if found is not None:
            values.setdefault(found[1].lower(), found[2])
    return KeyValues(path, values)
