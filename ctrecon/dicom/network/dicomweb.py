"""DICOMweb (PS3.18) as a client: STOW-RS, QIDO-RS, WADO-RS. Objects travel as they are, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ctrecon.dicom.network.http import parts_of, session
from ctrecon.dicom.network.incoming import incoming, no_room
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import Header
from ctrecon.dicom.network.query import keys_of, text_of
from ctrecon.dicom.network.receive import Kept
from ctrecon.dicom.network.retrieve import Retrieved
from ctrecon.dicom.network.store import Sent
from ctrecon.errors import SettingError

# Objects of one request together: a server holds a request in memory.
_REQUEST_BYTES = 64 << 20
# Of one object that is brought: it passes through our own memory.
_LARGEST_PART = 4 << 30
_DICOM, _JSON = "application/dicom", "application/dicom+json"


@dataclass(frozen=True, kw_only=True)
class Web:
    """A DICOMweb service at ``url``, such as ``https://pacs.example/dicom-web``; user and password by HTTP Basic."""

    url: str
    connection: Connection = field(default_factory=Connection)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingError(f"--url must be like https://pacs.example/dicom-web, got {self.url!r}")
        if parts.username or parts.password:
            raise SettingError("--url must not hold user or password; use --credentials FILE or the environment")

    def send(self, headers: Sequence[Header]) -> Sent:
        """Store files by STOW-RS (PS3.18, 10.5), at most 64 MiB a request unless one file is larger.

        Args:
            headers: Of the files.

        Returns:
            What became of each object, as the service says.

        Raises:
            NetworkError: Where the service cannot be reached, or answers with an error or what cannot be used.
            SettingError: Where the library for HTTP is missing.
            InputError: Where a certificate cannot be read.
        """
        from pydicom.dataset import Dataset

        result = Sent(headers=headers)
        with session(self.url, self.connection) as http:
            for group in _groups(headers):
                files = [headers[number].path for number in group]
                answer = http.post(f"{self._root}/studies", files, part_type=_DICOM, accept=_JSON)
                told = Dataset.from_json(answer.json()) if answer.content else Dataset()
                for number in group:
                    result.statuses[number] = _status_of(told, headers[number].sop_instance)
        return result

    def find(self, level: str, match: Mapping[str, str], *, limit: int = 1000) -> list[dict[str, str]]:
        """Search by QIDO-RS (PS3.18, 10.6).

        Args:
            level: ``study``, or ``series`` for the series of one study.
            match: Attributes by keyword, with DICOM's wildcards and ranges.
            limit: At most so many are asked for.

        Returns:
            What matches, as text by keyword.

        Raises:
            NetworkError: Where the service cannot be reached, or answers with an error or what cannot be used.
            SettingError: Where the library for HTTP is missing.
            InputError: Where a certificate cannot be read.
        """
        from pydicom.dataset import Dataset

        keys = list(dict.fromkeys((*keys_of(level), *match)))
        path, filters = "studies", dict(match)
        if level != "study":
            study = filters.pop("StudyInstanceUID", None)
            path = "series" if study is None else f"studies/{quote(study, safe='')}/series"
        params = [*filters.items(), *(("includefield", key) for key in keys), ("limit", str(limit))]
        with session(self.url, self.connection) as http:
            answer = http.get(f"{self._root}/{path}", accept=_JSON, params=params)
            answers = answer.json() if answer.content else []
            if not isinstance(answers, list):
                raise ValueError("not a list")
            rows = [Dataset.from_json(one) for one in answers]
            return [{key: text_of(row.get(key)) for key in keys} for row in rows]

    def get(self, folder: Path, study: str, series: str | None = None, *, most_bytes: int = 1 << 36) -> Retrieved:
        """Retrieve a study by WADO-RS (PS3.18, 10.4), in the transfer syntax the objects have.

        Args:
            folder: Where the files go.
            study: UID of the study.
            series: UID of one of its series; None for all.
            most_bytes: No more is taken.

        Returns:
            The files, and how many objects came and were not kept.

        Raises:
            NetworkError: Where the service cannot be reached, or answers with an error or what cannot be used.
            OutputError: Where the folder cannot be written.
            SettingError: Where the library for HTTP is missing.
            InputError: Where a certificate cannot be read.
        """
        kept = Kept(folder=folder, expect_study=study, most_bytes=most_bytes)
        path = f"studies/{quote(study, safe='')}" + ("" if series is None else f"/series/{quote(series, safe='')}")
        count = 0
        with incoming(folder) as temporary, session(self.url, self.connection) as http:
            accept = f'multipart/related; type="{_DICOM}"; transfer-syntax=*'
            answer = http.get(f"{self._root}/{path}", accept=accept)
            for count, part in enumerate(parts_of(answer, most_bytes=_LARGEST_PART), start=1):
                file = temporary / f"{count}.dcm"
                try:
                    file.write_bytes(part)
                except OSError as why:
                    raise no_room(folder, why, len(kept.files)) from None
                self._keep(kept, file)
        return Retrieved(
            files=tuple(dict.fromkeys(kept.files)), completed=len(kept.files), failed=count - len(kept.files), warned=0,
            status=0, refused=dict(kept.refused),
        )

    @property
    def _root(self) -> str:
        return self.url.rstrip("/")

    @staticmethod
    def _keep(kept: Kept, path: Path) -> None:
        from ctrecon.dicom.network.objects import read_header
        from ctrecon.errors import InputError

        try:
            announced = read_header(path).sop_instance
        except InputError:
            announced = ""  # and so it is refused
        kept.take(path, announced)


def _groups(headers: Sequence[Header]) -> Iterator[list[int]]:
    group: list[int] = []
    size = 0
    for number, header in enumerate(headers):
        length = header.path.stat().st_size
        if group and size + length > _REQUEST_BYTES:
            yield group
            group, size = [], 0
        group.append(number)
        size += length
    if group:
        yield group


def _status_of(answer: Any, instance: str) -> int:
    """An object's status in the answer to STOW-RS (PS3.18, I.2): only what stands among the stored ones is stored."""
    for item in answer.get("ReferencedSOPSequence", None) or ():
        if item.get("ReferencedSOPInstanceUID") == instance:
            return int(item.get("WarningReason", 0) or 0)
    for item in answer.get("FailedSOPSequence", None) or ():
        if item.get("ReferencedSOPInstanceUID") == instance:
            return int(item.get("FailureReason", 0x0110) or 0x0110)
    return 0x0110
