"""The list of data sets, ``sets.json``: data, no code. A list of one's own has the same form."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import platformdirs

from ctrecon.errors import InputError
from ctrecon.support.json_text import parse_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,199}")


def safe_name(name: Any, where: str) -> str:
    """A plain file name: no folder, not hidden. Raises InputError for anything else."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise InputError(f"{where} names a file {str(name)[:80]!r}, which is no plain file name; it is not fetched")
    return name


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file to fetch. ``known_hash`` like ``md5:...`` and ``size`` in bytes, where its publisher states them."""

    name: str
    url: str
    size: int | None = None
    known_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A published set: either a Zenodo ``record``, which lists its files with sizes and MD5 sums, or ``files``."""

    name: str
    title: str
    authors: str
    licence: str
    doi: str | None = None
    record: str | None = None
    files: tuple[RemoteFile, ...] = ()
    about_bytes: int | None = None


def read_sets(path: Path | None = None) -> dict[str, DataSet]:
    """The list of data sets.

    Args:
        path: Of a list of one's own; None for the shipped one.

    Returns:
        The data sets by name.

    Raises:
        InputError: For a file that is no such list.
    """
    where = "the shipped list" if path is None else str(path)
    try:
        if path is None:
            text = (resources.files("ctrecon.io.datasets") / "sets.json").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        return {safe_name(name, where): _data_set(name, entry, where) for name, entry in parse_json(text).items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{where} is no list of data sets: {error}; docs/datasets.md shows one") from None


def _data_set(name: str, entry: dict[str, Any], where: str) -> DataSet:
    files = tuple(
        RemoteFile(
            name=safe_name(file["name"], where), url=_web(file["url"]), size=file.get("size"),
            known_hash=file.get("hash"),
        )
        for file in entry.get("files", [])
    )
    record = entry.get("record")
    if bool(files) == bool(record):
        raise ValueError(f"{name} needs either a record or files")
    return DataSet(
        name=name, title=str(entry["title"]), authors=str(entry["authors"]), licence=str(entry["licence"]),
        doi=entry.get("doi"), record=None if record is None else _web(record), files=files,
        about_bytes=entry.get("about_bytes"),
    )


def _web(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError(f"{str(url)[:80]!r} is no https address")
    return url


def find_set(name: str, sets: dict[str, DataSet]) -> DataSet:
    """Raises InputError with the names that there are."""
    if name not in sets:
        raise InputError(f"there is no data set {name!r}; there are {', '.join(sets)}")
    return sets[name]


def data_directory(name: str) -> Path:
    """Where a set goes by default: ``CTRECON_CACHE``/data/NAME, or the place this system keeps for such files."""
    own = os.environ.get("CTRECON_CACHE")
    return (Path(own) if own else platformdirs.user_cache_path("ctrecon")) / "data" / name
