"""A study's folder in the queue: what its files say, and how one that failed is tried again."""

from __future__ import annotations

import json
from pathlib import Path

from ctrecon.dicom.network.attempts import forget_attempts
from ctrecon.errors import InputError

RECEIPT, REASON, PROCESSED = "received.json", "reason.txt", "processed"


def retry(folder: Path, key: str) -> str:
    """Put a failed study back to where it failed: into delivery, or to be processed anew. Gives the new state.

    May be called while a node listens with this queue. Raises InputError.
    """
    study = folder / "failed" / key
    if not study.is_dir() or "/" in key or key in ("", ".", ".."):
        raise InputError(f"{folder}: no failed study is called {key!r}; run ctrecon dicom queue {folder}")
    state = "sending" if (study / PROCESSED).exists() else "ready"
    if (folder / state / key).exists():
        raise InputError(f"{folder}: the study {key} is being worked on again already")
    forget_attempts(study)
    try:
        study.rename(folder / state / key)
    except OSError as why:
        raise InputError(f"{folder}: the study {key} cannot be moved: {why.strerror}") from None
    return state


def reason_of(folder: Path, key: str) -> str:
    """Why a study failed."""
    try:
        return (folder / "failed" / key / REASON).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def journal_name(path: Path, folder: Path) -> str:
    """A file's line in the list of those delivered."""
    return path.relative_to(folder).as_posix().encode("unicode_escape").decode()


def names_of(study: Path) -> set[str]:
    return {path.relative_to(study / "input").as_posix() for path in study.glob("input/*/*.dcm")}


def receipt_of(study: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads((study / RECEIPT).read_text())]
    except (OSError, ValueError):
        return []


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
