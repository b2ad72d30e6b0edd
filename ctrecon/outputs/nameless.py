"""History and notes that name no file: names of files are often names of patients, and a series travels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ctrecon.measurement.scan import Scan
from ctrecon.outputs.history import History
from ctrecon.outputs.named_files import last_part, named_files
from ctrecon.reconstruction.settings import Settings

UNNAMED = "a file that is not named here"

_MOST_BESIDE = 10_000
# What ends like a file's name; numbers such as 0.35 do not.
_LIKE_A_FILE = re.compile(r"[^\s'\"(),;:=]+\.[A-Za-z]\w+")


def nameless(history: History) -> History:
    """The history as a series keeps it, which names neither the scan's file nor any other.

    What was read from a file, and which setting named one, is still said: ``UNNAMED`` stands in its place. The name of
    the default network and of geometries that are no files stay.

    Args:
        history: How an image came about.

    Returns:
        Another one of the same numbers.
    """
    settings = history.settings
    named = {} if settings is None else named_files(settings)
    names = {history.source, *map(last_part, named.values())}
    if settings is not None:
        settings = {**settings, **{key: UNNAMED for key in named}}

    def all_of(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(_without(names, text) for text in texts)

    reason, delta_from = all_of((history.reason, history.delta_from))
    return replace(
        history, source=UNNAMED, settings=settings, reason=reason, delta_from=delta_from, notes=all_of(history.notes),
        says_nothing=all_of(history.says_nothing), says_little=all_of(history.says_little),
    )  # fmt: skip


def nameless_notes(scan: Scan, settings: Settings | None) -> tuple[str, ...]:
    """The notes of a scan without the names of its file, of those beside it, and of those that ``settings`` name."""
    source = Path(scan.source)
    names = {source.name, *map(last_part, named_files(settings.to_dict() if settings is not None else {}).values())}
    if not scan.of_program:
        # By their whole names, so that none with a space in it is left by half.
        for folder in (source, source.parent):
            with suppress(OSError):
                names |= {path.name for path in islice(folder.iterdir(), _MOST_BESIDE) if path.suffix}
    return tuple(_without(names, note) for note in scan.notes)


def _without(names: Iterable[str], text: str) -> str:
    for name in sorted(filter(None, names), key=len, reverse=True):
        stem = re.escape(Path(name).stem)
        text = re.sub(rf"(?<!\w){stem}(\.\w+)+", UNNAMED, text)
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", UNNAMED, text)
    return _LIKE_A_FILE.sub(UNNAMED, text)
