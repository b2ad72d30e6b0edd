"""Rows of a table as JSON, beside the table that a command prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``rows`` whole or not at all. Raises OutputError where ``path`` cannot be written."""
    from ctrecon.support.atomic import atomic_write

    with atomic_write(path) as partial:
        partial.write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")
