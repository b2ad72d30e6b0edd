"""Fetch a set: known hashes or none, each file ends whole under its name or not at all, and a lock file says what came.

Where the publisher states a hash (Zenodo does), it is checked. The lock file keeps what was stated and the SHA-256
of what came: a later fetch that would bring something else is refused. A file without a stated hash (BSDS500) is taken
on trust the first time, over https, and held to its own SHA-256 from then on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pooch

from ctrecon.errors import InputError, OutputError
from ctrecon.io.datasets.download import Resuming
from ctrecon.io.datasets.record import Record
from ctrecon.io.datasets.sets import DataSet, RemoteFile
from ctrecon.support.atomic import atomic_write, output_error
from ctrecon.support.progress import Progress, Report

LOCK = "ctrecon-data.lock.json"
Watch = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file on disk: its SHA-256, and whether its publisher's hash was checked or it was there before."""

    path: Path
    sha256: str
    checked: bool
    was_there: bool


def chosen(record: Record, patterns: Sequence[str]) -> tuple[RemoteFile, ...]:
    """The files of a record whose names match.

    Args:
        record: With all its files.
        patterns: Such as ``*.csv``; without any, all files.

    Returns:
        The files, in the order of the record.

    Raises:
        InputError: Where none matches.
    """
    files = tuple(f for f in record.files if not patterns or any(fnmatchcase(f.name, p) for p in patterns))
    if not files:
        names = ", ".join(file.name for file in record.files)
        raise InputError(f"no file matches {' or '.join(patterns) or 'the record'}; there are {names or 'none'}")
    return files


def missing_bytes(files: Sequence[RemoteFile], folder: Path) -> int:
    """What is still to come, parts of earlier attempts counted; files of unknown size count nothing."""
    total = 0
    for file in files:
        if not (folder / file.name).exists():
            part = _part(folder, file)
            total += max((file.size or 0) - (part.stat().st_size if part.exists() else 0), 0)
    return total


def check_space(files: Sequence[RemoteFile], folder: Path) -> None:
    """Raises OutputError where the disk has no room for what is missing."""
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    needed, free = missing_bytes(files, folder), shutil.disk_usage(place).free
    if needed > free:
        raise OutputError(
            f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed; choose another with --to, or "
            "fewer files with --file"
        )


def fetch(
    data_set: DataSet, files: Sequence[RemoteFile], folder: Path, *, progress: Report | None = None
) -> list[Fetched]:
    """Bring files to a folder; what is there and right stays.

    Args:
        data_set: Whose files they are.
        files: Which of them.
        folder: Made where it is missing.
        progress: Hears of every piece that came, in bytes; ``item`` is the file.

    Returns:
        Where they are, with their hashes.

    Raises:
        InputError: A file does not come, has the wrong hash (it is removed), or is not what the lock says.
        OutputError: The disk has no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another with --to") from None
    check_space(files, folder)
    lock = _read_lock(folder, data_set)
    return [_one(data_set, file, folder, lock, progress) for file in files]


def _one(
    data_set: DataSet, file: RemoteFile, folder: Path, lock: dict[str, Any], progress: Report | None
) -> Fetched:
    known, path = lock["files"].get(file.name), folder / file.name
    if known is not None and file.known_hash is not None and known["stated"] != file.known_hash:
        raise InputError(
            f"{file.name} is stated as {file.known_hash} now and was {known['stated']} when {LOCK} was written; "
            f"remove its entry there to take the new one"
        )
    wanted = file.known_hash if known is None else f"sha256:{known['sha256']}"
    was_there = path.exists()
    if was_there and wanted is not None and not pooch.hashes.hash_matches(str(path), wanted):
        raise InputError(f"{path} is not the file it should be ({wanted}); move it away and fetch again")
    if was_there and wanted is None:
        raise InputError(f"{path} is there, and nothing says what it should be; move it away and fetch again")
    here = path if was_there else _download(file, folder, wanted, progress)
    digest = pooch.file_hash(str(here), alg="sha256")
    if known is None:
        lock["files"][file.name] = {
            "url": file.url, "size": here.stat().st_size, "stated": file.known_hash, "sha256": digest,
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with atomic_write(folder / LOCK) as partial:
            partial.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    if not was_there:
        # After the lock: cut off before this, the bytes are still the part that the next call goes on from; cut off
        # the other way round, nothing would say what a file without a stated hash should be.
        here.replace(path)
    return Fetched(path=path, sha256=digest, checked=file.known_hash is not None, was_there=was_there)


def _download(file: RemoteFile, folder: Path, wanted: str | None, progress: Report | None) -> Path:
    """All of a file, of the right hash, still under its hidden name."""
    part = _part(folder, file)

    def heard(have: int, total: int | None) -> None:
        if progress is not None:
            progress(Progress(stage="download", unit="byte", done=have, total=total, item=file.name))

    try:
        Resuming(part=part, size=file.size, watch=heard).collect(file.url)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
    except OSError as error:
        raise output_error(folder / file.name, error) from error
    if wanted is not None and not pooch.hashes.hash_matches(str(part), wanted):
        part.unlink()
        raise InputError(
            f"{file.name} came with another content than {wanted} says; it was removed; try again, and report it if "
            "that does not help"
        )
    return part


def _part(folder: Path, file: RemoteFile) -> Path:
    return folder / f".{file.name}.part"


def _read_lock(folder: Path, data_set: DataSet) -> dict[str, Any]:
    path = folder / LOCK
    if not path.exists():
        return {
            "set": data_set.name, "doi": data_set.doi, "licence": data_set.licence, "authors": data_set.authors,
            "files": {},
        }
    try:
        lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entries = lock["files"].values()
        if lock["set"] != data_set.name or not all(isinstance(e["sha256"], str) and "stated" in e for e in entries):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is not the lock of {data_set.name}; choose another folder with --to") from None
    return lock
