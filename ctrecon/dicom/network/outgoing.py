"""Studies whose processing ended: what is delivered of them, and how long they are kept afterwards."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ctrecon.dicom.network.study_folder import REASON, RECEIPT, journal_name, names_of
from ctrecon.dicom.network.study_folders import StudyFolders
from ctrecon.support.atomic import atomic_write

_MOST_RECEIPTS = 1000


class OutgoingStudies(StudyFolders):
    """The studies of a listening node from the end of their processing on; ``Queue`` has those before it, too."""

    def finish(self, key: str) -> None:
        """All is delivered; a list of what was received is kept, of the last 1,000 studies.

        Args:
            key: Of the study, which was being sent.
        """
        with self.lock:
            study = self.at("sending", key)
            with atomic_write(study / RECEIPT) as partial:
                partial.write_text(json.dumps(sorted(names_of(study))))
            self.move("sending", "done", key)
            for old in self.studies("done")[:-_MOST_RECEIPTS]:
                self.discard(self.at("done", old))

    def fail(self, state: str, key: str, reason: str) -> None:
        """Put a study aside, with the reason in its folder.

        Args:
            state: In which the study is.
            key: Of the study.
            reason: In a line, without patient data.
        """
        with self.lock:
            with atomic_write(self.at(state, key) / REASON) as partial:
                partial.write_text(reason + "\n", encoding="utf-8")
            self.move(state, "failed", key)

    # --- delivery

    def output(self, key: str) -> list[Path]:
        """What is to be delivered.

        Args:
            key: Of the study, which is being sent.

        Returns:
            All files of its output, by name; links are none.
        """
        folder = self.at("sending", key) / "output"
        return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())

    def delivered(self, key: str) -> set[str]:
        """What was delivered already.

        Args:
            key: Of the study, which is being sent.

        Returns:
            Names of the files whose storing was confirmed, as ``note_delivery`` wrote them.
        """
        try:
            lines = (self.at("sending", key) / "delivered").read_text().split("\n")
        except FileNotFoundError:
            return set()
        return set(lines[:-1])  # a line that a crash cut off has no end, and its file is sent again

    def note_delivery(self, key: str, path: Path) -> None:
        """Note that a file's storing was confirmed, on the disk itself when this returns.

        Args:
            key: Of the study, which is being sent.
            path: A file of its output.
        """
        study = self.at("sending", key)
        with (study / "delivered").open("a") as stream:
            stream.write(journal_name(path, study / "output") + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    # --- keeping house

    def give_up_objects(self, key: str) -> None:
        """Delete the objects of a finished study; the list of them stays.

        Args:
            key: Of the study.
        """
        with self.lock:
            for part in ("input", "output"):
                if (self.at("done", key) / part).exists():
                    self.discard(self.at("done", key) / part)

    def give_up_older_than(self, seconds: float) -> None:
        """Delete the objects of studies that were finished long ago.

        Args:
            seconds: How long ago.
        """
        with self.lock:
            self._give_up_older_than(seconds)

    def _give_up_older_than(self, seconds: float) -> None:
        for key in self.studies("done"):
            path = self.at("done", key)
            if time.time() - path.stat().st_mtime > seconds and (path / "input").exists():
                self.give_up_objects(key)
