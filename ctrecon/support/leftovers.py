"""What a killed process left in a folder: a swap that it was in the midst of is finished, its temporary files go."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path

from ctrecon.support.swap import finish_swaps
from ctrecon.support.temporary_names import left_behind


def sweep(folder: Path) -> None:
    """Finish and remove what dead processes of this machine left in a folder; once in each process, for each folder.

    What had gone aside goes only where something new has taken its place: else it may be all there is.
    """
    with suppress(OSError):
        _sweep(folder.resolve(), os.getpid())


@cache
def _sweep(folder: Path, process: int) -> None:
    if os.name != "posix":  # elsewhere no harmless signal asks whether a process lives
        return
    if not finish_swaps(folder):  # another process is at it
        return
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".")]
    for name in names:
        found = left_behind(name)
        if found is None or (found["kind"] == "old" and not (folder / found["own"]).exists()):
            continue
        left = folder / name
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()
