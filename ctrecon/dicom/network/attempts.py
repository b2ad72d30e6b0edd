"""How often a study was begun and came no further than before: what ends its process each time is given up, what is
slow is not.

How far it came is what is left of the work when it is begun anew: series that are whole, and of the next one the pieces
in its journal (``reconstruction.pieces``). A start that found more than any before it counts as the first.
"""

from __future__ import annotations

from pathlib import Path

from ctrecon.support.atomic import atomic_write

ATTEMPTS, _FURTHEST, _WHOLE = "attempts", "furthest", "whole"


def attempts_of(study: Path) -> int:
    """Starts since it last came further."""
    found = _numbers(study / ATTEMPTS)
    return found[0] if found else 0


def set_attempts(study: Path, count: int) -> None:
    with atomic_write(study / ATTEMPTS) as partial:
        partial.write_text(str(max(0, count)))


def forget_attempts(study: Path) -> None:
    """It is tried again as if it never had been, but for the pieces that are at hand."""
    for path in (study / ATTEMPTS, study / _FURTHEST, *(study / _WHOLE).glob("*")):
        path.unlink(missing_ok=True)


def count_start(study: Path, most: int) -> bool:
    """Note another start in the study's folder; False where it came no further in ``most`` of them."""
    reached = _reached(study)
    before = tuple(_numbers(study / _FURTHEST)) or (0, 0)
    count = attempts_of(study)
    if reached > before:
        with atomic_write(study / _FURTHEST) as partial:
            partial.write_text(" ".join(map(str, reached)))
        count = 0
    if count >= most:
        return False
    set_attempts(study, count + 1)
    return True


def mark_whole(study: Path, series: str, *, certified: bool) -> None:
    """The output of a series is complete, so that it need not be made again."""
    (study / _WHOLE).mkdir(mode=0o700, exist_ok=True)
    with atomic_write(study / _WHOLE / series) as partial:
        partial.write_text(str(int(certified)))


def no_longer_whole(study: Path, series: str) -> None:
    """More of it came, so that its output is of a part."""
    (study / _WHOLE / series).unlink(missing_ok=True)


def whole_series(study: Path) -> dict[str, bool]:
    """The series whose output is complete, and whether they are certified."""
    folder = study / _WHOLE
    if not folder.is_dir():
        return {}
    return {path.name: path.read_text() == "1" for path in folder.iterdir() if not path.name.startswith(".")}


def is_journal(path: Path) -> bool:
    """Whether a command keeps there what it has done of a result, hidden beside it: ``.NAME.journal``."""
    return path.name.startswith(".") and path.name.endswith(".journal") and path.is_dir() and not path.is_symlink()


def _reached(study: Path) -> tuple[int, int]:
    output = study / "output"
    journals = [path for path in output.iterdir() if is_journal(path)] if output.is_dir() else []
    pieces = [path for journal in journals for path in journal.iterdir() if not path.name.startswith(".")]
    return len(whole_series(study)), len(pieces)


def _numbers(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
