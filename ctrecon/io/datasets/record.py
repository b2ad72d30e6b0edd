"""What a Zenodo record says of its files: names, sizes, MD5 sums, licence. https://developers.zenodo.org"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from ctrecon.errors import InputError
from ctrecon.io.datasets.sets import DataSet, RemoteFile, safe_name
from ctrecon.support.json_text import parse_json

_MOST_BYTES = 8 << 20
TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Record:
    """The files of a set, and the licence as its publisher states it now, where that is known."""

    files: tuple[RemoteFile, ...]
    licence: str | None


def files_of(data_set: DataSet) -> Record:
    """The files of a data set: asks the record on the network where there is one.

    Args:
        data_set: Of the list.

    Returns:
        Files with sizes and hashes, and the licence that the record states.

    Raises:
        InputError: Where the record cannot be reached or says something else.
    """
    if data_set.record is None:
        return Record(files=data_set.files, licence=None)
    try:
        with requests.get(data_set.record, timeout=TIMEOUT_S, stream=True) as response:
            response.raise_for_status()
            body = response.raw.read(_MOST_BYTES + 1, decode_content=True)
    except requests.RequestException as error:
        raise InputError(f"{data_set.record} cannot be reached ({_short(error)}); check the connection") from None
    if len(body) > _MOST_BYTES:
        raise InputError(f"{data_set.record} answers with more than {_MOST_BYTES} bytes, so it is no record; report it")
    try:
        return _parse(parse_json(body), data_set.record)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{data_set.record} answers with something that is no record of files; report it") from None


def _parse(record: dict[str, Any], where: str) -> Record:
    files = []
    for entry in record["files"]:
        url, size, checksum = str(entry["links"]["self"]), entry["size"], str(entry["checksum"])
        # A record may not send us elsewhere, nor name a file without saying what is in it.
        if urlsplit(url)[:2] != urlsplit(where)[:2] or type(size) is not int or size < 0:
            raise ValueError(url)
        algorithm, _, digest = checksum.partition(":")
        if algorithm not in ("md5", "sha256") or not digest or set(digest) - set("0123456789abcdef"):
            raise ValueError(checksum)
        files.append(RemoteFile(name=safe_name(entry["key"], where), url=url, size=size, known_hash=checksum))
    licence = record.get("metadata", {}).get("license", {})
    said = licence.get("id") if isinstance(licence, dict) else None
    return Record(files=tuple(files), licence=None if said is None else str(said)[:80])


def _short(error: Exception) -> str:
    return str(error)[:160]
