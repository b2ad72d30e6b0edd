"""A download that goes on where a broken connection, or the end of its process, left off.

The bytes are collected under a hidden name; the next call asks for the rest alone (HTTP range requests, RFC 9110
section 14). Whoever calls it checks what has come, and gives it its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from ctrecon.errors import InputError
from ctrecon.io.datasets.record import TIMEOUT_S

Watch = Callable[[int, int | None], None]
_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Resuming:
    """``part`` is where bytes are collected, ``size`` what they must come to, where known.

    A connection that breaks is taken up again ``attempts`` times while bytes still arrive.
    """

    part: Path
    size: int | None = None
    attempts: int = 4
    wait_s: float = 1.0
    watch: Watch | None = None

    def collect(self, url: str) -> None:
        """Have all of it in ``part``.

        Args:
            url: Of the file.

        Raises:
            InputError: It cannot be finished now; what has come stays in ``part``.
        """
        failed = 0
        while True:
            before = self._have()
            try:
                self._some(url)
                break
            except (requests.RequestException, _ShortError) as error:
                failed = 1 if self._have() > before else failed + 1
                if failed >= self.attempts or _final(error):
                    raise InputError(
                        f"{url} broke off after {self._have()} bytes ({str(error)[:120]}); run it again, "
                        "it goes on from there"
                    ) from None
                time.sleep(self.wait_s)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _some(self, url: str) -> None:
        """Ask for what is missing, and write it as it comes."""
        have, mark = self._have(), self._mark()
        if self.size is not None and have > self.size:
            self.part.unlink()
            have = 0
        if have and have == self.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if mark.exists():
                # Only if it is still the file that we have the first part of; else all of it anew.
                headers["If-Range"] = mark.read_text(encoding="ascii")
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink(missing_ok=True)
                raise _ShortError("the server has another file than before")
            response.raise_for_status()
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            resumed = bool(have) and response.status_code == requests.codes.partial_content and goes_on
            self._note(response.headers.get("ETag"))
            have = have if resumed else 0
            length = response.headers.get("Content-Length", "")
            total = self.size if self.size is not None else have + int(length) if length.isdigit() else None
            with self.part.open("ab" if resumed else "wb") as stream:
                for chunk in response.iter_content(_CHUNK):
                    have += len(chunk)
                    if total is not None and have > total:
                        self.part.unlink()
                        raise InputError(f"{url} sends more than the {total} bytes it should have; nothing was kept")
                    stream.write(chunk)
                    if self.watch is not None:
                        self.watch(have, total)
        if total is not None and have < total:
            raise _ShortError(f"{total - have} bytes are missing")
        mark.unlink(missing_ok=True)

    def _mark(self) -> Path:
        return self.part.with_name(self.part.name + ".etag")

    def _note(self, etag: str | None) -> None:
        # A weak validator promises nothing about bytes.
        if etag and not etag.startswith("W/") and etag.isascii() and etag.isprintable() and len(etag) < 256:
            self._mark().write_text(etag, encoding="ascii")
        else:
            self._mark().unlink(missing_ok=True)


class _ShortError(Exception):
    """Fewer bytes than promised."""


def _final(error: Exception) -> bool:
    """An answer that asking again will not change: not there, not allowed."""
    response = getattr(error, "response", None)
    return response is not None and 400 <= response.status_code < 500 and response.status_code not in (408, 416, 429)
