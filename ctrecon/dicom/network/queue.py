"""Studies on disk between arrival and delivery. A study's folder lies in the folder of its state and moves by renaming:

    incoming -> ready -> running -> sending -> done
                            |          |
                            +----------+--> failed

A rename is whole or did not happen, so whenever the process ends, the folders say where each study stands. Every name
is a hash. Objects are called ``input/SERIES/OBJECT-CONTENT.dcm``: the listing alone says what was received.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.attempts import (
    attempts_of,
    count_start,
    mark_whole,
    no_longer_whole,
    set_attempts,
)
from ctrecon.dicom.network.missing import Missing
from ctrecon.dicom.network.objects import Header, content_digest, name_for, sync_file, sync_folder
from ctrecon.dicom.network.outgoing import OutgoingStudies
from ctrecon.dicom.network.study_folder import PROCESSED, names_of, receipt_of, size_of
from ctrecon.dicom.network.study_folders import STATES

_UNFINISHED = STATES[:4]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of the queue: bytes of all objects in it, unfinished studies, and starts of one study's processing."""

    most_bytes: int = 64 << 30
    most_studies: int = 100
    most_attempts: int = 3
    free_bytes: int = 1 << 30


class FullError(Exception):
    """There is no room for another object."""


class ConflictError(Exception):
    """An object with this UID and another content was received already."""


@dataclass
class Queue(OutgoingStudies):
    """The studies of a listening node: what may come in, when it is whole, how often it is tried."""

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.missing = Missing(self.folder / "missing")
        self._contents: dict[str, dict[str, str]] = {}

    # --- arrival

    def add(self, path: Path, header: Header) -> str:
        """Keep an object's file, on the disk itself when this returns.

        An object that is there already is left as it is.

        Args:
            path: A complete file in ``arriving``, which is moved.
            header: What it says it is.

        Returns:
            The study's key.

        Raises:
            FullError: Where there is no room.
            ConflictError: Where an object of this UID has another content.
            OSError: Where the disk refuses.
        """
        key, digest, size = name_for(header.study), content_digest(path), size_of(path)
        name = f"{name_for(header.sop_instance)}-{digest}.dcm"
        with self.lock:
            if self.at("ready", key).exists() and not self.at("incoming", key).exists():
                # Not begun yet, so it just was not complete.
                self.move("ready", "incoming", key)
            study = self.at("incoming", key)
            place = study / "input" / name_for(header.series)
            known = self._known_contents(key)
            if known.get(f"{place.name}/{name_for(header.sop_instance)}", digest) != digest:
                raise ConflictError
            if (place / name).exists():
                return key
            no_longer_whole(study, place.name)
            self._make_room(size, new=not study.exists())
            fresh = not place.exists()
            try:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_file(path)
                path.replace(place / name)
                for parent in (place, place.parent, study, study.parent) if fresh else (place,):
                    sync_folder(parent)
            except OSError:
                # No room even for that: what is empty now is no study.
                for folder in (place, place.parent, study):
                    with suppress(OSError):
                        folder.rmdir()
                raise
            self.bytes += size
            known[f"{place.name}/{name_for(header.sop_instance)}"] = digest
            return key

    def _known_contents(self, key: str) -> dict[str, str]:
        """The content of every object of a study, in whatever state it is: read once, then kept while it arrives."""
        if key not in self._contents:
            names: set[str] = set()
            for state in STATES:
                study = self.at(state, key)
                if study.exists():
                    names |= set(receipt_of(study)) if state == "done" else names_of(study)
            self._contents[key] = {
                instance: rest.removesuffix(".dcm") for instance, _, rest in (name.rpartition("-") for name in names)
            }
        return self._contents[key]

    def count(self, key: str) -> int:
        """How many objects of an arriving study are here.

        Args:
            key: Of the study.

        Returns:
            Their number; 0 for a study that is not arriving.
        """
        return sum(1 for _ in self.at("incoming", key).glob("input/*/*.dcm"))

    def _make_room(self, size: int, *, new: bool) -> None:
        if new and sum(len(self.studies(state)) for state in _UNFINISHED) >= self.limits.most_studies:
            raise FullError
        if shutil.disk_usage(self.folder).free < size + self.limits.free_bytes:
            raise FullError
        if self.bytes + size > self.limits.most_bytes:
            # Finished studies give way first; of them only the list of what was received stays.
            for key in self.studies("done"):
                self.give_up_objects(key)
                if self.bytes + size <= self.limits.most_bytes:
                    return
            raise FullError

    def is_full(self) -> bool:
        """Whether nothing more would be taken.

        Returns:
            True where the disk is short of room, or there are too many unfinished studies.
        """
        unfinished = sum(len(self.studies(state)) for state in _UNFINISHED)
        low = shutil.disk_usage(self.folder).free < self.limits.free_bytes
        return low or unfinished >= self.limits.most_studies

    def complete(self, key: str, tell: Callable[[str], None] = lambda outcome: None) -> str:
        """What arrived is a study, to be processed.

        Objects that come after a study was finished make it a new one, of the old objects and the new ones together.

        Args:
            key: Of the study.
            tell: Is told what is returned, but for ``"later"``, just before it is so.

        Returns:
            ``"ready"``; ``"known"`` where all of it was done before; ``"later"`` where the earlier part is being worked
            on; or ``"failed"``.
        """
        with self.lock:
            if any(self.at(state, key).exists() for state in ("running", "sending", "ready")):
                return "later"
            self._contents.pop(key, None)
            study = self.at("incoming", key)
            if self.at("failed", key).exists():
                self._link(self.at("failed", key), names_of(self.at("failed", key)), study)
            new = names_of(study)
            finished = self.at("done", key)
            if finished.exists():
                old = set(receipt_of(finished))
                if new <= old:
                    tell("known")
                    self.discard(study)
                    return "known"
                if self._link(finished, old - new, study):
                    reason = f"{len(new)} objects came after {len(old)} were finished and deleted; send all again"
                    tell("failed")
                    self.fail("incoming", key, reason)
                    return "failed"
            tell("ready")
            self.move("incoming", "ready", key)
            self.missing.forget(key)
            if self.at("failed", key).exists():
                self.discard(self.at("failed", key))
            return "ready"

    def _link(self, earlier: Path, names: set[str], study: Path) -> int:
        """Make earlier objects part of a study; gives how many of them are no longer there."""
        missing = 0
        for name in sorted(names):
            source, target = earlier / "input" / name, study / "input" / name
            if not source.exists():
                missing += 1
            elif not target.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.link(source, target)
                self.bytes += size_of(target)
        return missing

    def give_up_waiting(self, key: str, reason: str) -> None:
        """What was missing of a study never came: put aside what did.

        Args:
            key: Of the study, which is arriving.
            reason: In a line, without patient data.
        """
        with self.lock:
            earlier = self.at("failed", key)
            if earlier.exists():
                self._link(earlier, names_of(earlier), self.at("incoming", key))
            self.fail("incoming", key, reason)
            self.missing.forget(key)

    # --- work

    def begin(self, key: str) -> Path | None:
        """Take a study up.

        Args:
            key: Of the study.

        Returns:
            Its folder, with an empty ``output``; None where it is not ready, or was begun too often already and so
            failed.
        """
        with self.lock:
            if not self.at("ready", key).exists():
                return None
            if not count_start(self.at("ready", key), self.limits.most_attempts):
                often = f"{self.limits.most_attempts} times"
                self.fail("ready", key, f"processing ended {often} without a result, and came no further each time")
                return None
            study = self.move("ready", "running", key)
            self.wipe_output(study)
            (study / "output").mkdir(mode=0o700, exist_ok=True)
            return study

    def whole(self, key: str, series: str, *, certified: bool) -> None:
        """The output of one series is complete, and stays whatever happens to the others.

        Args:
            key: Of the study, which is running.
            series: The series' folder.
            certified: Whether all of the series is certified.
        """
        with self.lock:
            study = self.at("running", key)
            self._sync(study / "output" / series)
            mark_whole(study, series, certified=certified)

    def _sync(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if not path.is_symlink():
                sync_file(path)
        sync_folder(folder)

    def processed(self, key: str) -> None:
        """The output is complete: bring it to the disk, then say so.

        Args:
            key: Of the study, which is running and is to be sent now.
        """
        with self.lock:
            study = self.at("running", key)
            self._sync(study / "output")
            (study / PROCESSED).touch()
            sync_folder(study)
            self.move("running", "sending", key)
            self.bytes = sum(size_of(path) for path in self.files())

    def back(self, key: str) -> None:
        """Give up work that was interrupted by us, which does not count as an attempt.

        Args:
            key: Of the study, which is running and becomes ready again.
        """
        with self.lock:
            study = self.at("running", key)
            set_attempts(study, attempts_of(study) - 1)
            self.again(key)

    def again(self, key: str) -> None:
        """Work that something else ended is to be begun anew.

        Args:
            key: Of the study, which is running and becomes ready again.
        """
        with self.lock:
            self.wipe_output(self.at("running", key))
            self.move("running", "ready", key)
