"""DICOMweb (PS3.18) as a client: STOW-RS, QIDO-RS, WADO-RS. Objects travel as they are, byte for byte."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ctrecon.dicom.network.associate import silence
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import Header
from ctrecon.dicom.network.query import keys_of, text_of
from ctrecon.dicom.network.receive import Kept
from ctrecon.dicom.network.retrieve import Retrieved
from ctrecon.dicom.network.store import Sent
from ctrecon.errors import NetworkError, OutputError, SettingError

# Objects of one request together: a server holds a request in memory.
_REQUEST_BYTES = 64 << 20


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
        """STOW-RS (PS3.18, 10.5). Raises NetworkError."""
        result = Sent(headers=headers)
        with self._client() as client:
            for group in _groups(headers):
                url = client._get_studies_url(_stow())
                # One at a time out of the files: the request is streamed.
                parts = (headers[number].path.read_bytes() for number in group)
                answer = client._http_post_multipart_application_dicom(url, list(parts))
                for number in group:
                    result.statuses[number] = _status_of(answer, headers[number].sop_instance)
        return result

    def find(self, level: str, match: Mapping[str, str], *, limit: int = 1000) -> list[dict[str, str]]:
        """QIDO-RS (PS3.18, 10.6), as ``query.find``. Raises NetworkError."""
        from pydicom.dataset import Dataset

        keys = list(dict.fromkeys((*keys_of(level), *match)))
        with self._client() as client:
            if level == "study":
                answers = client.search_for_studies(search_filters=dict(match), fields=keys, limit=limit)
            else:
                filters = {key: value for key, value in match.items() if key != "StudyInstanceUID"}
                answers = client.search_for_series(
                    study_instance_uid=match.get("StudyInstanceUID"), search_filters=filters, fields=keys, limit=limit
                )
            rows = [Dataset.from_json(answer) for answer in answers]
            return [{key: text_of(row.get(key)) for key in keys} for row in rows]

    def get(self, folder: Path, study: str, series: str | None = None, *, most_bytes: int = 1 << 36) -> Retrieved:
        """WADO-RS (PS3.18, 10.4), in the transfer syntax the objects have. Raises NetworkError, OutputError."""
        kept = Kept(folder=folder, expect_study=study, most_bytes=most_bytes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryDirectory(prefix=".incoming.", dir=folder)
        except OSError as why:
            raise OutputError(f"{folder}: cannot be written: {why.strerror}; choose another folder") from None
        count = 0
        with temporary, self._client() as client:
            # The library decodes objects; we want their bytes, and any transfer syntax, so its inner methods are used.
            accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
            response = client._http_get(_retrieve_url(client, study, series), headers=accept, stream=True)
            if response.headers.get("Content-Type", "").startswith("multipart/"):
                parts = client._decode_multipart_message(response, stream=True)
            else:
                parts = iter([response.content])
            for count, part in enumerate(parts, start=1):
                path = Path(temporary.name) / f"{count}.dcm"
                path.write_bytes(part)
                self._keep(kept, path)
        return Retrieved(
            files=tuple(dict.fromkeys(kept.files)), completed=len(kept.files), failed=count - len(kept.files), warned=0,
            status=0, refused=dict(kept.refused),
        )

    @staticmethod
    def _keep(kept: Kept, path: Path) -> None:
        from ctrecon.dicom.network.objects import read_header
        from ctrecon.errors import InputError

        try:
            status = kept.keep(path, read_header(path).sop_instance)
        except InputError:
            status = 0xC000
        if status:
            kept.refused[status] = kept.refused.get(status, 0) + 1

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            import requests
            from dicomweb_client import DICOMwebClient
            from requests.auth import HTTPBasicAuth
        except ImportError:
            raise SettingError("DICOMweb needs dicomweb-client; run pip install 'ctrecon-edn[pacs]'") from None
        silence()
        session = requests.Session()
        # Neither a .netrc nor a proxy of the environment: what is sent where is said by our own options alone.
        session.trust_env = False
        identity, tls = self.connection.identity, self.connection.tls
        if identity is not None:
            session.auth = HTTPBasicAuth(identity.user.encode(), identity.password.encode())
        if tls is not None:
            tls.client()  # the same errors as for DICOM's own protocol
            session.verify = os.fspath(tls.ca)
            if tls.certificate is not None:
                session.cert = (os.fspath(tls.certificate), os.fspath(tls.key or tls.certificate))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                client = DICOMwebClient(self.url, session=session)
                client._timeout = self.connection.timeout_s
                client.set_http_retry_params(retry=True, max_attempts=self.connection.retries + 1)
                yield client
        except requests.HTTPError as why:
            code = why.response.status_code if why.response is not None else 0
            raise NetworkError(f"{self.url} answered {code}: {_HTTP.get(code, 'the request failed')}") from None
        except requests.exceptions.SSLError as why:
            raise NetworkError(f"{self.url}: no secure connection: {_cause(why)}; check the certificates") from None
        except requests.RequestException as why:
            raise NetworkError(f"{self.url} cannot be reached: {_cause(why)}; check the address") from None
        except (ValueError, KeyError, TypeError) as why:
            said = f"{self.url} answered what is no DICOMweb: {type(why).__name__}; check the path"
            raise NetworkError(said) from None
        finally:
            session.close()


_HTTP = {
    400: "it does not understand the request",
    401: "user or password is wrong; use --credentials FILE",
    403: "this user may not do that",
    404: "there is no such study, or no DICOMweb at this address",
    406: "it cannot give the objects as they are stored",
    409: "it refused all of the objects",
    413: "the request is too large for it",
    415: "it does not take DICOM objects here",
    503: "it is too busy; try again later",
}


def _cause(why: BaseException) -> str:
    """The innermost reason, without the addresses that are repeated around it."""
    reason: Any = why.args[0] if why.args else why
    reason = getattr(reason, "reason", reason)
    return str(reason).rpartition(": ")[2] or type(why).__name__


def _stow() -> Any:
    from dicomweb_client.web import _Transaction

    return _Transaction.STORE


def _retrieve_url(client: Any, study: str, series: str | None) -> str:
    from dicomweb_client.web import _Transaction

    if series is None:
        return str(client._get_studies_url(_Transaction.RETRIEVE, study))
    return str(client._get_series_url(_Transaction.RETRIEVE, study, series))


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
