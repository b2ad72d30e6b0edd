"""HTTP as DICOMweb needs it: bodies in parts, a time limit, patience with a server that is busy, one-line errors."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ctrecon.dicom.network.associate import silence
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.tls_trouble import asked_again, trouble
from ctrecon.errors import NetworkError, SettingError

_CHUNK_BYTES = 1 << 20
_BUSY = (408, 429, 503, 504)
_MOST_WAIT_S = 8.0
_EXPLAINED = {
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


class Http:
    """Requests of one session, each with the connection's time limit, and anew where the server says it is busy.

    Args:
        session: A ``requests.Session``.
        connection: Its time limit in seconds and its number of retries.
    """

    def __init__(self, session: Any, connection: Connection) -> None:
        self._session, self._connection = session, connection

    def get(self, url: str, *, accept: str, params: Sequence[tuple[str, str]] = ()) -> Any:
        """An answer whose body is still to be read.

        Args:
            url: Of the resource.
            accept: The media type wanted.
            params: Keys and values of the query, in order.

        Raises:
            requests.RequestException: No answer, or one that is an error.
        """
        return self._patiently(
            lambda: self._session.get(
                url, params=list(params), headers={"Accept": accept}, stream=True, timeout=self._connection.timeout_s
            )
        )

    def post(self, url: str, files: Sequence[Path], *, part_type: str, accept: str) -> Any:
        """Send files as one ``multipart/related`` body, read from the disk while it is sent.

        Args:
            url: Of the resource.
            files: Each becomes a part, byte for byte.
            part_type: The media type of each part.
            accept: The media type wanted of the answer.

        Raises:
            requests.RequestException: No answer, or one that is an error.
        """
        body = _Parts(files, part_type)
        headers = {
            "Accept": accept,
            "Content-Type": f'multipart/related; type="{part_type}"; boundary="{body.boundary}"',
        }
        return self._patiently(
            lambda: self._session.post(url, data=body, headers=headers, timeout=self._connection.timeout_s)
        )

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        for attempt in range(self._connection.retries + 1):
            answer = ask()
            if answer.status_code not in _BUSY or attempt == self._connection.retries:
                break
            answer.close()
            time.sleep(min(0.5 * 2**attempt, _MOST_WAIT_S))
        answer.raise_for_status()
        return answer


class _Parts:
    """A body of known length that can be sent again: files between boundaries (RFC 2046, 5.1)."""

    def __init__(self, files: Sequence[Path], part_type: str) -> None:
        self.boundary = secrets.token_hex(24)
        self._files = files
        self._before = f"\r\n--{self.boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
        self._end = f"\r\n--{self.boundary}--\r\n".encode()

    def __len__(self) -> int:
        return sum(len(self._before) + path.stat().st_size for path in self._files) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for path in self._files:
            yield self._before
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
        yield self._end


def parts_of(answer: Any, *, most_bytes: int) -> Iterator[bytes]:
    """The parts of an answer, one after the other as they come; a body that is not in parts is the only one.

    Args:
        answer: Of ``Http.get``.
        most_bytes: A larger part is refused before it is read to its end.

    Raises:
        ValueError: The body is not as its head says, too large, or ends before its last boundary.
    """
    kind, _, parameters = str(answer.headers.get("Content-Type", "")).partition(";")
    boundary = _boundary(parameters) if kind.strip().lower().startswith("multipart/") else None
    held = bytearray()
    if boundary is None:
        for chunk in answer.iter_content(_CHUNK_BYTES):
            held += chunk
            if len(held) > most_bytes:
                raise ValueError("the body is too large")
        yield bytes(held)
        return
    # The first boundary stands at the very beginning or after a line's end; so does what follows.
    held += b"\r\n"
    mark, inside, searched = b"\r\n--" + boundary, False, 0
    for chunk in answer.iter_content(_CHUNK_BYTES):
        held += chunk
        # The two bytes after a boundary tell whether it is the last.
        while (at := held.find(mark, searched)) >= 0 and len(held) >= at + len(mark) + 2:
            if inside:
                yield _content(held[:at])
            inside, searched = True, 0
            after = at + len(mark)
            if held[after : after + 2] == b"--":
                return
            del held[:after]
        searched = max(0, len(held) - len(mark) - 1) if at < 0 else at
        if len(held) > most_bytes + (1 << 16):
            raise ValueError("a part is too large")
    raise ValueError("the body ends before its last boundary")


def _boundary(parameters: str) -> bytes | None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "boundary" and (text := value.strip().strip('"')):
            return text.encode()
    return None


def _content(part: bytearray) -> bytes:
    """What follows the empty line after a part's head."""
    at = part.find(b"\r\n\r\n")
    if at < 0:
        raise ValueError("a part has no head")
    return bytes(part[at + 4 :])


@contextmanager
def session(url: str, connection: Connection) -> Iterator[Http]:
    """A session with a server; what goes wrong in it becomes one line.

    Args:
        url: Named in errors.
        connection: User, password and certificates.

    Raises:
        NetworkError: No answer, or one that cannot be used.
        SettingError: The library for HTTP is missing, or a certificate cannot be read.
    """
    try:
        import requests
        from requests.auth import HTTPBasicAuth
    except ImportError:
        raise SettingError("DICOMweb needs requests; run pip install 'ctrecon-edn[pacs]'") from None
    silence()
    opened = requests.Session()
    # Neither a .netrc nor a proxy of the environment: what is sent where is said by our own options alone.
    opened.trust_env = False
    identity, tls = connection.identity, connection.tls
    if identity is not None:
        opened.auth = HTTPBasicAuth(identity.user.encode(), identity.password.encode())
    if tls is not None:
        tls.client()  # the same errors as for DICOM's own protocol
        opened.verify = os.fspath(tls.ca)
        if tls.certificate is not None:
            opened.cert = (os.fspath(tls.certificate), os.fspath(tls.key or tls.certificate))
    try:
        yield Http(opened, connection)
    except requests.HTTPError as why:
        code = why.response.status_code if why.response is not None else 0
        raise NetworkError(f"{url} answered {code}: {_EXPLAINED.get(code, 'the request failed')}") from None
    except requests.exceptions.SSLError as why:
        what, remedy = trouble(str(why)) or _asked_again(url, connection) or (_cause(why), "check the certificates")
        raise NetworkError(f"{url}: no secure connection: {what}; {remedy}") from None
    except requests.exceptions.ChunkedEncodingError:
        raise NetworkError(f"{url} broke off in the middle of its answer; try again") from None
    except requests.JSONDecodeError as why:
        raise NetworkError(f"{url} answered what is no DICOMweb: not JSON; check the path") from why
    except requests.RequestException as why:
        if found := _asked_again(url, connection):
            raise NetworkError(f"{url}: no secure connection: {found[0]}; {found[1]}") from None
        broken = isinstance(why, requests.ConnectionError) and "aborted" in str(why)
        secure = ", and whether it wants https://" if broken and urlsplit(url).scheme == "http" else ""
        said = "it closed the connection without an answer" if broken else _cause(why)
        raise NetworkError(f"{url} cannot be reached: {said}; check the address{secure}") from None
    except (ValueError, KeyError, TypeError) as why:
        raise NetworkError(f"{url} answered what is no DICOMweb: {type(why).__name__}; check the path") from why
    finally:
        opened.close()


def _asked_again(url: str, connection: Connection) -> tuple[str, str] | None:
    """Whether a server that answers nothing does not accept our certificate."""
    address = urlsplit(url)
    if connection.tls is None or address.scheme != "https" or address.hostname is None:
        return None
    return asked_again(address.hostname, address.port or 443, connection.tls, connection.timeout_s)


def _cause(why: BaseException) -> str:
    """The innermost reason, without the addresses that are repeated around it."""
    reason: Any = why.args[0] if why.args else why
    reason = getattr(reason, "reason", reason)
    return str(reason).rpartition(": ")[2] or type(why).__name__
