"""What was done to the attributes of files, without any of their values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.tag import Tag

REMOVED, EMPTIED, REPLACED, NEW_UID, MOVED = "removed", "emptied", "replaced", "new UID", "moved"


@dataclass(frozen=True)
class Changes:
    """How often an attribute was changed, and how; ``counts``: (tag, action) to a number."""

    counts: Counter[tuple[int, str]] = field(default_factory=Counter)

    def note(self, tag: int, action: str) -> None:
        """Count one change.

        Args:
            tag: Of the attribute.
            action: ``REMOVED``, ``EMPTIED``, ``REPLACED``, ``NEW_UID`` or ``MOVED``.
        """
        self.counts[int(tag), action] += 1

    def rows(self) -> list[dict[str, Any]]:
        """What was changed, by tag: no value, and of private attributes no creator either.

        Returns:
            One row for each attribute and action: ``tag``, ``keyword``, ``action`` and ``count``.
        """
        return [
            {"tag": f"{tag >> 16:04X},{tag & 0xFFFF:04X}", "keyword": _keyword(tag), "action": action, "count": count}
            for (tag, action), count in sorted(self.counts.items())
        ]


def _keyword(tag: int) -> str:
    return "private" if Tag(tag).is_private else keyword_for_tag(tag)
