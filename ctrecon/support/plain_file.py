"""Files looked at before they are opened: a pipe waits for ever, a device never ends, a large one fills the memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.support.limits import MAX_BYTES

_WHAT = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


def plain_size(path: Path, most: int | None = None) -> int:
    """Bytes of a file that may be opened.

    Args:
        path: The file, or a link to one.
        most: How many bytes it may have; None for any number, where not all of it is read at once.

    Returns:
        Its size in bytes.

    Raises:
        InputError: Where it is not there, is no file (a folder, a pipe, a device), may not be read or is too large.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        if path.is_symlink():
            what = "itself" if getattr(error, "errno", None) == errno.ELOOP else "a file that is not there"
            raise InputError(f"{path}: is a link to {what}; copy the file itself there") from None
        raise InputError(f"{path}: there is no such file, so that it cannot be read; check its name") from None
    if not stat.S_ISREG(found.st_mode):
        what = next((word for test, word in _WHAT if test(found.st_mode)), "something else")
        raise InputError(f"{path}: is {what}, not a file; copy the file itself there")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read (permission denied); check its permissions")
    if most is not None and found.st_size > most:
        raise InputError(f"{path}: has {found.st_size} bytes, too many (at most {most}); is it the right file?")
    return found.st_size


def whole_file(path: Path, most: int = MAX_BYTES) -> bytes:
    """All bytes of a file, of at most ``most``. Raises InputError as ``plain_size``, and where reading fails."""
    plain_size(path, most)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
