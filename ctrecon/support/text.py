"""Text from files made safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with every control character escaped: it must not move the cursor or forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
