"""What is known to be missing of studies that arrive: objects that were refused for want of room, and associations that
brought objects and did not end in good order. A study is not whole while there is anything of the kind.

Each is an empty file, ``STUDY-OBJECT`` or ``STUDY-open-TOKEN`` by hashes and chance: making one takes no room on a disk
that has none, is whole or did not happen, and is there after a crash.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.objects import sync_folder

_MOST_NOTED = 10_000


@dataclass
class Missing:
    """The notes in ``folder``."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refused(self, key: str, instance: str, *, begun: bool) -> None:
        """An object of the study was not kept. ``begun``: whether others of it are here."""
        if (self.folder / f"{key}-{instance}").exists():
            return
        if sum(1 for _ in self.folder.iterdir()) < _MOST_NOTED:
            self._note(f"{key}-{instance}")
        elif begun:
            self._note(f"{key}-many")

    def arrived(self, key: str, instance: str) -> None:
        """It came after all."""
        self._strike([f"{key}-{instance}"])

    def opened(self, key: str) -> tuple[str, set[str]]:
        """An association begins to bring the study: its own note, and those of others that broke off before."""
        before = {name for name in self.of(key) if "-open-" in name}
        name = f"{key}-open-{secrets.token_hex(8)}"
        self._note(name)
        return name, before

    def ended(self, name: str, before: set[str]) -> None:
        """It ended in good order, and so repeated what had broken off before it began."""
        self._strike([name, *before])

    def of(self, key: str) -> list[str]:
        """The notes about a study."""
        return [path.name for path in self.folder.glob(f"{key}-*")]

    def studies(self) -> dict[str, int]:
        """How many notes there are about each study."""
        found: dict[str, int] = {}
        for path in self.folder.iterdir():
            key = path.name.partition("-")[0]
            found[key] = found.get(key, 0) + 1
        return found

    def older_than(self, key: str, seconds: float) -> bool:
        """Whether the last note about a study is so old."""
        times = []
        for name in self.of(key):
            with suppress(OSError):
                times.append((self.folder / name).stat().st_mtime)
        return bool(times) and time.time() - max(times) > seconds

    def forget(self, key: str) -> None:
        """The study is taken up, or given up."""
        self._strike(self.of(key))

    def _note(self, name: str) -> None:
        with self._lock:
            (self.folder / name).touch(mode=0o600)
            sync_folder(self.folder)

    def _strike(self, names: list[str]) -> None:
        with self._lock:
            gone = False
            for name in names:
                with suppress(FileNotFoundError):
                    (self.folder / name).unlink()
                    gone = True
            if gone:
                sync_folder(self.folder)
