"""A history that names no file: names of files are often names of patients, and a series travels with its images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ctrecon.io.turns import TURNS
from ctrecon.outputs.history import History
from ctrecon.reconstruction.settings import GIVEN, Settings

UNNAMED = "a file that is not named here"

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
    names, settings = {history.source}, history.settings
    if settings is not None:
        kept = {"geometry": tuple(TURNS), "repeat": (), "prior": (Settings().prior,)}
        named = {key: str(settings[key]) for key, known in kept.items() if settings.get(key) not in (None, *known)}
        names.update(Path(text.removeprefix(GIVEN)).name for text in named.values())
        settings = {**settings, **{key: UNNAMED for key in named}}

    def all_of(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(_without(names, text) for text in texts)

    reason, delta_from = all_of((history.reason, history.delta_from))
    return replace(
        history, source=UNNAMED, settings=settings, reason=reason, delta_from=delta_from, notes=all_of(history.notes),
        says_nothing=all_of(history.says_nothing), says_little=all_of(history.says_little),
    )  # fmt: skip


def _without(names: Iterable[str], text: str) -> str:
    for name in sorted(filter(None, names), key=len, reverse=True):
        stem = re.escape(Path(name).stem)
        text = re.sub(rf"(?<!\w){stem}(\.\w+)+", UNNAMED, text)
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", UNNAMED, text)
    return _LIKE_A_FILE.sub(UNNAMED, text)
