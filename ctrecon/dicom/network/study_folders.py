"""The folders of a queue, one for each state of a study: to move a study, to throw away, to put right after a crash."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.attempts import is_journal, whole_series
from ctrecon.dicom.network.objects import sync_folder
from ctrecon.dicom.network.study_folder import PROCESSED, size_of
from ctrecon.errors import OutputError, SettingError

STATES = ("incoming", "ready", "running", "sending", "done", "failed")


@dataclass
class StudyFolders:
    """The folders of a listening node. One process at a time: a lock file says which.

    ``moved`` is told of each study that changes its state: from, to, key. It happens under ``moving``, so that who
    holds that lock sees the folders and what was told of them agree.
    """

    folder: Path
    moved: Callable[[str, str, str], None] = field(default=lambda state, to, key: None, kw_only=True)
    moving: threading.Lock = field(default_factory=threading.Lock, kw_only=True)

    def __post_init__(self) -> None:
        try:
            # Here, so that all else of this package works where there is none.
            import fcntl
        except ImportError:
            raise SettingError(
                f"{self.folder}: a queue locks files as POSIX does, which this system cannot; use Linux or macOS"
            ) from None
        self.lock = threading.RLock()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for state in (*STATES, "arriving", "trash", "missing", "promises"):
                (self.folder / state).mkdir(mode=0o700, exist_ok=True)
            self._lock_file = (self.folder / "lock").open("a")
        except OSError as why:
            raise OutputError(f"{self.folder}: no queue can be kept there: {why.strerror}; choose another") from None
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise SettingError(f"{self.folder}: another process listens with this queue; use another") from None
        self.recover()
        self.bytes = sum(size_of(path) for path in self.files())

    def close(self) -> None:
        """Let another process have the queue."""
        self._lock_file.close()

    @property
    def arriving(self) -> Path:
        """Where half-received objects lie."""
        return self.folder / "arriving"

    def at(self, state: str, key: str) -> Path:
        """Where a study's folder is, or would be.

        Args:
            state: One of ``STATES``.
            key: Of the study.

        Returns:
            The folder in that of the state.
        """
        return self.folder / state / key

    def studies(self, state: str) -> list[str]:
        """Which studies are in a state.

        Args:
            state: One of ``STATES``.

        Returns:
            Their keys, the longest waiting first.
        """
        found = []
        for path in (self.folder / state).iterdir():
            try:
                found.append((path.stat().st_mtime_ns, path.name))
            except FileNotFoundError:
                continue
        return [name for _, name in sorted(found)]

    def move(self, state: str, to: str, key: str) -> Path:
        """Change a study's state, on the disk itself when this returns; a study of the same key that is there goes.

        Args:
            state: In which it is.
            to: In which it is then.
            key: Of the study.

        Returns:
            Its folder.
        """
        target = self.at(to, key)
        if target.exists():
            self.discard(target)
        with self.moving:
            self.at(state, key).rename(target)
            os.utime(target)
            self.moved(state, to, key)
        sync_folder(self.folder / to)
        sync_folder(self.folder / state)
        return target

    def discard(self, path: Path) -> None:
        """Delete a file or folder, so that an end amidst leaves nothing half-deleted in its place.

        Args:
            path: In the queue.
        """
        self.bytes -= sum(size_of(file) for file in path.rglob("*.dcm"))
        trash = self.folder / "trash" / secrets.token_hex(8)
        path.rename(trash)
        if trash.is_dir() and not trash.is_symlink():
            shutil.rmtree(trash, ignore_errors=True)
        else:
            trash.unlink()

    def files(self) -> Iterator[Path]:
        """All objects, in whatever state their study is.

        Yields:
            Their paths.
        """
        for state in STATES:
            yield from (self.folder / state).rglob("*.dcm")

    def wipe_output(self, study: Path) -> None:
        """Nothing half-done stays but journals, by which a job goes on where it was (``reconstruction.pieces``).

        Args:
            study: Its folder.
        """
        if (study / "output").exists():
            whole = whole_series(study)
            for path in list((study / "output").iterdir()):
                if not is_journal(path) and path.name not in whole:
                    self.discard(path)

    def recover(self) -> None:
        """After an end of whatever kind: begun work is begun anew, and nothing half-done is left."""
        self.bytes = 0
        for path in (*self.arriving.iterdir(), *(self.folder / "trash").iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for key in self.studies("running"):
            study = self.at("running", key)
            if (study / PROCESSED).exists():
                self.move("running", "sending", key)
                continue
            self.wipe_output(study)
            self.move("running", "ready", key)
        for key in self.studies("failed"):
            # Its objects are part of the study that is tried again.
            if self.at("ready", key).exists():
                self.discard(self.at("failed", key))
