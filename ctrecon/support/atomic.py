"""Whole files or none: write under a temporary name in the same folder, then rename."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctrecon.errors import OutputError

_REMEDY = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file would be larger than allowed; choose another folder or raise the limit",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "part of the path is a file, not a folder; choose another name",
    errno.EISDIR: "it is a folder; give a file name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EIO: "the disk reports an error; choose another one",
}


def output_error(path: Path, error: OSError) -> OutputError:
    remedy = _REMEDY.get(error.errno or 0, f"{error.strerror or error}; choose another place")
    return OutputError(f"{path}: cannot be written: {remedy}")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; when the block ends well it becomes ``path``, on disk and whole.

    On any exception, Ctrl-C included, the temporary file is removed and what was at ``path`` stays as it was. The
    temporary name keeps the suffix and is in the same folder. A link at ``path`` is written through.
    Raises OutputError where the place cannot be written, the disk is full, or ``path`` is no regular file.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    try:
        there = target.exists()
    except OSError as error:
        raise output_error(path, error) from None
    if there and not target.is_file():
        kind = "a folder" if target.is_dir() else "a device or pipe"
        raise OutputError(f"{path}: cannot be written: it is {kind}; give a file name")
    if there and not os.access(target, os.W_OK):
        raise OutputError(f"{path}: cannot be written: the file there is protected; choose another name")
    # Short, so that a name of the longest allowed length still works.
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(4)}.part{target.suffix[:20]}")
    try:
        # Created here, by the user's own mask, so that an impossible place is known before the work is done.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise output_error(path, error) from None
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)  # noqa: PTH105  # the same call, and its name says what it does
    except OSError as error:
        # Only what speaks of writing: a block may read other files too.
        if error.errno is None or error.errno in _REMEDY:
            raise output_error(path, error) from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
