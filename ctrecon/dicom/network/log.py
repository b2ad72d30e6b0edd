"""The node's log: lines with a time, to standard error or to a file that rotates, and never an error of their own."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from ctrecon.errors import OutputError
from ctrecon.support.text import printable


class Log:
    """Takes lines. ``path``: into this file, which becomes ``path.1`` when it has ``most_bytes``, that ``path.2``, and
    so on up to ``kept``; what cannot be written there goes to standard error. Raises OutputError where the file cannot
    be written at the start.
    """

    def __init__(self, path: Path | None = None, most_bytes: int = 10_000_000, kept: int = 5) -> None:
        self._path, self._most, self._kept = path, most_bytes, kept
        self._lock = threading.Lock()
        self._elsewhere = 0
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a"):
                    pass
            except OSError as why:
                raise OutputError(f"{path}: no log can be written there: {why.strerror}; choose another") from None

    def __call__(self, line: str) -> None:
        text = f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {printable(line)}\n"
        # A disk that is full must not stop what the log is about.
        with self._lock, suppress(OSError):
            if self._path is None:
                self._to_standard_error(text)
                return
            try:
                self._write(self._path, text)
            except OSError:
                self._elsewhere += 1
                self._to_standard_error(text)

    def _write(self, path: Path, text: str) -> None:
        if self._elsewhere:
            now = text.partition(" ")[0]
            text = f"{now} {self._elsewhere} lines could not be written here and went to standard error\n{text}"
        if path.exists() and path.stat().st_size + len(text.encode()) > self._most:
            self._rotate(path)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
        self._elsewhere = 0

    @staticmethod
    def _to_standard_error(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def _rotate(self, path: Path) -> None:
        for k in range(self._kept, 0, -1):
            older = path.with_name(f"{path.name}.{k - 1}") if k > 1 else path
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{k}"))
