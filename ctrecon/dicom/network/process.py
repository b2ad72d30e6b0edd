"""What a listening node does with a series: a folder in, a folder out, in a process of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ctrecon.dicom.network.node import PASSWORD, USER
from ctrecon.errors import SettingError

# From the folder of one series' objects to a folder with the DICOM files of the result; whether all of it is certified.
# It tells of each slice that it has done, and of how many. Raises ProcessError.
Tell = Callable[[int, int], None]
Process = Callable[[Path, Path, Tell], bool]
# Of `ctrecon reconstruct`: the result is written and says itself that it is not certified.
NOT_CERTIFIED = 3

# This project's own reconstruction of projections. The one place to change where its options change.
RECONSTRUCT = (
    sys.executable, "-m", "ctrecon.cli.main", "reconstruct", "{input}", "--all-slices", "--delta", "auto",
    "-o", "{output}/",
)  # fmt: skip
# What a command prints of a slice that is done, as ctrecon does: nothing else of its output goes into a log.
_SLICE = re.compile(rb"\bslice +(\d{1,6}) of +(\d{1,6})\b")
_KEPT_BYTES = 16384
_TICK_S = 0.1
_KILLED = 128 + signal.SIGKILL  # as a shell says it of its child


class ProcessError(Exception):
    """The processing failed. The text may quote its output, so it belongs into the study's folder, not into a log."""


class KilledError(ProcessError):
    """Something ended the processing from outside, such as a system that ran out of memory: it may do next time."""


class StoppedError(Exception):
    """The processing was broken off because the node stops."""


def words_of(text: str, option: str) -> tuple[str, ...]:
    """Words as a shell would split them. Raises SettingError."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as why:
        raise SettingError(f"{option} {text!r} cannot be split into words: {why}") from None
    if not words:
        raise SettingError(f"{option} is empty; give a command")
    if shutil.which(words[0]) is None:
        raise SettingError(f"{option} {text[:80]!r}: there is no program {words[0][:80]!r} that may be run")
    return words


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command with ``{input}`` and ``{output}`` for the folders; run without a shell.

    It may take as long as it takes, while it shows progress: a line printed, or anything that changes in its folder.
    After ``most_seconds`` without, it is killed.

    Exit code 0 means success, 3 that files are written that say themselves that not all is certified; else, the
    ``lines_kept`` lines that the command said last are the reason.
    """

    words: tuple[str, ...] = RECONSTRUCT
    most_seconds: float = 4 * 3600.0
    stop: threading.Event = field(default_factory=threading.Event)
    lines_kept: int = 1

    @staticmethod
    def parse(text: str) -> tuple[str, ...]:
        """Read a command as people write it.

        Args:
            text: Words as a shell would split them, with ``{input}`` and ``{output}``.

        Returns:
            The words.

        Raises:
            SettingError: Where a placeholder is missing, or there are no words in it.
        """
        words = words_of(text, "--command")
        for placeholder in ("{input}", "{output}"):
            if not any(placeholder in word for word in words):
                raise SettingError(f"--command {text!r} lacks {placeholder}, where the folder's path goes")
        return words

    def __call__(self, folder_in: Path, folder_out: Path, tell: Tell = lambda done, total: None) -> bool:
        filled = [w.replace("{input}", str(folder_in)).replace("{output}", str(folder_out)) for w in self.words]
        guard = [sys.executable, str(Path(__file__).with_name("with_parent.py")), str(os.getpid())]
        # The same ctrecon as ours, wherever we were started; and no password of ours.
        paths = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
        environment = {key: value for key, value in os.environ.items() if key not in (USER, PASSWORD)}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        environment["PYTHONUNBUFFERED"] = "1"
        try:
            process = subprocess.Popen(
                [*guard, *filled], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                cwd=folder_out, env=environment, start_new_session=True,
            )
        except OSError as why:
            raise ProcessError(f"the command cannot be started: {why.strerror}") from None
        assert process.stdout is not None
        with process.stdout as said:
            os.set_blocking(said.fileno(), False)
            try:
                code, last = self._wait(process, said, folder_out, tell)
            finally:
                if process.poll() is None:
                    # Its children, too: they are a session of their own.
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if code < 0 or code == _KILLED:
            raise KilledError(f"it was ended by signal {-code if code < 0 else signal.SIGKILL.value}")
        if code not in (0, NOT_CERTIFIED):
            lines = last.decode("utf-8", "replace").strip().splitlines()
            raise ProcessError(f"exit code {code}: " + ("\n".join(lines[-self.lines_kept :]) or "it said nothing"))
        return code == 0

    def _wait(
        self, process: subprocess.Popen[bytes], said: IO[bytes], folder: Path, tell: Tell
    ) -> tuple[int, bytearray]:
        """Its exit code and what it said last."""
        last, line, quiet_s, seen = bytearray(), b"", 0.0, _newest(folder)
        while True:
            ended = process.poll()
            while part := said.read(1 << 16):
                quiet_s = 0.0
                last = (last + part)[-_KEPT_BYTES:]
                *whole, line = (line + part)[-_KEPT_BYTES:].split(b"\n")
                for text in whole:
                    if found := _SLICE.search(text):
                        tell(int(found[1]), int(found[2]))
            if ended is not None:
                return ended, last
            if self.stop.is_set():
                raise StoppedError
            if quiet_s >= self.most_seconds:
                now = _newest(folder)
                if now == seen:
                    raise ProcessError(f"it showed no progress for {self.most_seconds:g} s and was ended")
                seen, quiet_s = now, 0.0
            time.sleep(_TICK_S)
            quiet_s += _TICK_S


def _newest(folder: Path) -> tuple[int, int]:
    """Changes with every file that is written in a folder."""
    times = [0]
    for path in folder.rglob("*"):
        with suppress(OSError):
            times.append(path.stat().st_mtime_ns)
    return len(times), max(times)
