"""Where an error came from: files, lines and functions, never the values, which may be a patient's."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path


def where(error: BaseException) -> str:
    """The last place in this package that the error passed, as ``room/file.py:12 in function``.

    Args:
        error: One that was raised; its causes are followed, also those hidden by ``from None``.
    """
    places = [place for one in causes(error) for place in _places(one)]
    own = [place for place in places if not place.startswith("(")]
    return (own or places or ["an unknown place"])[-1]


def trail(error: BaseException) -> str:
    """All places that the error and its causes passed, outermost first, each cause after ``; from TypeName:``."""
    parts = [f"{type(one).__name__}: " + " > ".join(_places(one)) for one in causes(error)]
    return "; from ".join(parts)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, in the order in which a person asks."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _places(error: BaseException) -> list[str]:
    root = Path(__file__).parents[1]
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        named = path.relative_to(root).as_posix() if path.is_relative_to(root) else f"({path.name}"
        found.append(f"{named}:{frame.lineno} in {frame.name}" + (")" if named.startswith("(") else ""))
    return found
