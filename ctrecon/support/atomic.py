"""Whole files or none, one or several that belong together: write under temporary names, then swap."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ctrecon.errors import OutputError
from ctrecon.support.leftovers import sweep
from ctrecon.support.swap import swap, to_the_end
from ctrecon.support.temporary_names import aside_of, part_of
from ctrecon.support.where import causes

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


class _Written:
    """What this process has finished writing: how many times, and what last."""

    count, last = 0, Path()


def note_written(path: Path) -> None:
    """Say that a file or folder is there, whole."""
    _Written.count, _Written.last = _Written.count + 1, path


def written() -> tuple[int, Path]:
    """How many times this process has finished writing, and the file or folder that came last."""
    return _Written.count, _Written.last


def output_error(path: Path, error: OSError) -> OutputError:
    """What the system said of a place, in one line with the remedy; other libraries may have wrapped it in words."""
    codes = [one.errno for one in causes(error) if isinstance(one, OSError) and one.errno is not None]
    first = next(iter(str(error.strerror or error).strip().splitlines()), type(error).__name__)
    remedy = _REMEDY.get(codes[0] if codes else 0, f"{first}; choose another place")
    return OutputError(f"{path}: cannot be written: {remedy}")


@contextmanager
def atomic_files() -> Iterator[Files]:
    """Write several files that belong together: all of them appear, whole and on disk, or none changes.

    Call the object with a path to get a temporary path beside it to write to, and ``remove`` a path that must not
    outlive the others. When the block ends well, everything is swapped in, in the order of the calls: the old files go
    aside first, so at no moment does a new file stand beside an old one. On any exception, Ctrl-C included, the
    temporary files are removed and what was there stays as it was; an error in the midst of the swap undoes it. One
    that a killed process was in the midst of, a later one finishes (``ctrecon/support/swap.py``), and what it left
    under temporary names goes (``ctrecon/support/leftovers.py``).

    Raises:
        OutputError: Where a place cannot be written, the disk is full, or a path is a link or no regular file.
    """
    files = Files()
    try:
        yield files
        files.commit()
    except OSError as error:
        # Only what speaks of writing: a block may read other files too.
        if error.errno is None or error.errno in _REMEDY:
            raise output_error(files.last, error) from error
        raise
    finally:
        files.clean()


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """One file as ``atomic_files``: give a temporary path, in the same folder and with the same suffix.

    Raises:
        OutputError: Where the place cannot be written, the disk is full, or ``path`` is a link or no regular file.
    """
    with atomic_files() as place:
        yield place(Path(path))


def check_writable(path: Path) -> None:
    """Raises OutputError unless ``path`` is new or a regular file that may be replaced; a link is never followed."""
    try:
        if path.is_symlink():
            raise OutputError(
                f"{path}: cannot be written: it is a link to {_told(path)}, and links are not followed; remove it, or "
                "give the name of the file itself"
            )
        there = path.exists()
    except OSError as error:
        raise output_error(path, error) from None
    if there and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or pipe"
        raise OutputError(f"{path}: cannot be written: it is {kind}; give a file name")
    if there and not os.access(path, os.W_OK):
        raise OutputError(f"{path}: cannot be written: the file there is protected; choose another name")


def _told(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115  # as it is written, not resolved
    except OSError:
        return "another file"


class Files:
    """The files of one ``atomic_files`` block."""

    def __init__(self) -> None:
        self._waiting: dict[Path, Path] = {}
        self._leaving: list[Path] = []
        self._aside: dict[Path, Path] = {}
        self._committed = False
        self.last = Path()
        """What was worked on last, for messages."""

    def __call__(self, path: Path) -> Path:
        """A temporary path to write what will be ``path``. Raises OutputError where it can be known to fail."""
        if path in self._waiting:
            return self._waiting[path]
        check_writable(path)
        self.last = path
        sweep(path.parent)
        temporary = part_of(path)
        # Noted before it is done: an interrupt between the two must find it.
        self._waiting[path] = temporary
        # Created here, by the user's own mask, so that an impossible place is known before the work is done.
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            del self._waiting[path]
            raise output_error(path, error) from None
        return temporary

    def remove(self, path: Path) -> None:
        """A file goes, where it is, in the same swap.

        Args:
            path: Of the file; it need not be there.

        Raises:
            OutputError: Where it is no regular file.
        """
        check_writable(path)
        self._leaving.append(path)

    def commit(self, new: Mapping[Path, Path] | None = None, aside: Mapping[Path, Path] | None = None) -> None:
        """Swap: all files stand under their names, on the disk itself, or none does. A second call does nothing.

        Args:
            new: A folder that is whole and on disk and belongs to these files, by the name that it gets.
            aside: A free name for the one that it replaces, by the name that it has.

        Raises:
            OSError: Where the disk refuses; ``last`` says at which file.
        """
        if self._committed:
            return
        for path, temporary in self._waiting.items():
            self.last = path
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        new, aside = {**self._waiting, **(new or {})}, aside or {}
        if not self._leaving and len(self._waiting) == len(new) == 1:
            # One file alone replaces the old one in one step: there is no moment without it.
            ((path, temporary),) = self._waiting.items()
            os.replace(temporary, path)  # noqa: PTH105  # the same call, and its name says what it does
        else:
            # Those that only go come first: cut off after them, no older file stands beside a new one.
            there = dict.fromkeys(path for path in (*self._leaving, *self._waiting) if path.exists())
            # Noted before it is done: an interrupt between the two must find it.
            self._aside = {path: aside_of(path) for path in there}
            swap(new, {**self._aside, **aside})
        self._committed = True
        for path in new:
            note_written(path)
        for folder in {path.parent for path in (*new, *self._leaving)}:
            _to_disk(folder)

    def clean(self) -> None:
        """Remove the old files that were replaced, and the temporary ones that are left."""
        # Where all that is new has its name, what went aside may go; else it is back, or is all there is.
        done = not any(part.exists() for part in self._waiting.values())
        to_the_end(lambda: _remove((*(self._aside.values() if done else ()), *self._waiting.values())))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _to_disk(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
