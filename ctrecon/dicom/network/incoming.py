"""Where objects stay while they come in: beside those that are kept, and gone at the end, also after ``kill -9``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctrecon.errors import OutputError
from ctrecon.support.leftovers import sweep
from ctrecon.support.temporary_names import part_of


@contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """A hidden folder for half-received objects, on the disk of the result.

    Its name says whose it is, so what a killed process left goes with the next one that writes there.

    Args:
        folder: Of the result; made where it is missing, and gone again if nothing was kept.

    Yields:
        The hidden folder.

    Raises:
        OutputError: Where the folder cannot be written.
    """
    made = not folder.exists()
    temporary = part_of(folder / "incoming")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        temporary.mkdir(mode=0o700)
    except OSError as why:
        raise OutputError(f"{folder}: cannot be written: {why.strerror}; choose another folder") from None
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made:
            with suppress(OSError):  # something was kept
                folder.rmdir()


def no_room(folder: Path, why: OSError, count: int) -> OutputError:
    """What to say where the disk takes no more.

    Args:
        folder: Of the result.
        why: What the disk said.
        count: How many objects are kept.

    Returns:
        The error to raise.
    """
    return OutputError(f"{folder}: {why.strerror}: {count} objects arrived and are kept; make room and run it again")
