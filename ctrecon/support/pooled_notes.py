"""Notes of many slices as few sentences: what they share once, with the range of the numbers that differ."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def pooled_notes(slices: Sequence[Sequence[str]]) -> list[str]:
    """The notes of all ``slices`` in order of appearance.

    Those that differ in their numbers alone are one, ``45 rays`` and ``18 rays`` become ``18 to 45 rays``; what is not
    noted of every slice says of how many.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for notes in slices:
        for note in notes:
            alike.setdefault(tuple(_NUMBER.split(note)), []).append(note)
    return [_pooled(words, notes, len(slices)) for words, notes in alike.items()]


def _pooled(words: tuple[str, ...], notes: list[str], slices: int) -> str:
    columns = zip(*(_NUMBER.findall(note) for note in notes), strict=True)
    ranges = iter([_range(sorted(set(column), key=float)) for column in columns])
    said = words[0] + "".join(next(ranges) + word for word in words[1:])
    return said if len(notes) >= slices else f"{said} ({len(notes)} of {slices} slices)"


def _range(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"
