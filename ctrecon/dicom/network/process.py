"""What a listening node does with a series: a folder in, a folder out, in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.node import PASSWORD, USER
from ctrecon.errors import SettingError

# From the folder of one series' objects to a folder with the DICOM files of the result; whether all of it is certified.
# Raises ProcessError.
Process = Callable[[Path, Path], bool]
# Of `ctrecon reconstruct`: the result is written and says itself that it is not certified.
NOT_CERTIFIED = 3

# This project's own reconstruction of projections. The one place to change where its options change.
RECONSTRUCT = (
    sys.executable, "-m", "ctrecon.cli.main", "reconstruct", "{input}", "--all-slices", "--delta", "auto",
    "-o", "{output}/",
)  # fmt: skip
_MOST_OUTPUT = 16 << 20


class ProcessError(Exception):
    """The processing failed. The text may quote its output, so it belongs into the study's folder, not into a log."""


class StoppedError(Exception):
    """The processing was broken off because the node stops."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command with ``{input}`` and ``{output}`` for the folders; run without a shell, killed after ``most_seconds``.

    Exit code 0 means success, 3 that files are written that say themselves that not all is certified; else, the
    ``lines_kept`` lines that the command said last are the reason.
    """

    words: tuple[str, ...] = RECONSTRUCT
    most_seconds: float = 4 * 3600.0
    stop: threading.Event = field(default_factory=threading.Event)
    lines_kept: int = 1

    @staticmethod
    def parse(text: str) -> tuple[str, ...]:
        """Words as a shell would split them. Raises SettingError where a placeholder is missing."""
        try:
            words = tuple(shlex.split(text))
        except ValueError as why:
            raise SettingError(f"--command {text!r} cannot be split into words: {why}") from None
        for placeholder in ("{input}", "{output}"):
            if not any(placeholder in word for word in words):
                raise SettingError(f"--command {text!r} lacks {placeholder}, where the folder's path goes")
        return words

    def __call__(self, folder_in: Path, folder_out: Path) -> bool:
        filled = [w.replace("{input}", str(folder_in)).replace("{output}", str(folder_out)) for w in self.words]
        guard = [sys.executable, str(Path(__file__).with_name("with_parent.py")), str(os.getpid())]
        # The same ctrecon as ours, wherever we were started; and no password of ours.
        paths = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
        environment = {key: value for key, value in os.environ.items() if key not in (USER, PASSWORD)}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    [*guard, *filled], stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                    cwd=folder_out, env=environment, start_new_session=True,
                )
            except OSError as why:
                raise ProcessError(f"the command cannot be started: {why.strerror}") from None
            try:
                code = self._wait(process, said.fileno())
            finally:
                if process.poll() is None:
                    # Its children, too: they are a session of their own.
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if code not in (0, NOT_CERTIFIED):
                said.seek(max(0, os.fstat(said.fileno()).st_size - 16384))
                lines = said.read().decode("utf-8", "replace").strip().splitlines()
                last = "\n".join(lines[-self.lines_kept :]) or "it said nothing"
                raise ProcessError(f"exit code {code}: {last}")
            return code == 0

    def _wait(self, process: subprocess.Popen[bytes], said: int) -> int:
        waited = 0.0
        while True:
            try:
                return process.wait(0.2)
            except subprocess.TimeoutExpired:
                waited += 0.2
            if self.stop.is_set():
                raise StoppedError
            if waited >= self.most_seconds:
                raise ProcessError(f"it took longer than {self.most_seconds:g} s and was ended")
            if os.fstat(said).st_size > _MOST_OUTPUT:
                raise ProcessError(f"it printed more than {_MOST_OUTPUT >> 20} MiB and was ended")
