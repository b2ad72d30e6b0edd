"""Several names of a folder change together: all of them or none, and what a killed process left half done is finished.

No system call renames two files at once. So the names that are to change are listed first, in a hidden file beside
them. An error undoes the renames; of a process that was killed among them a later one finds the list and goes on from
there, since all that is new was whole and on disk before the first rename.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ctrecon.support.temporary_names import left_behind, plan_of

_MOST_BYTES = 64 << 20


def swap(new: Mapping[Path, Path], aside: Mapping[Path, Path]) -> None:
    """What is there goes aside, then the new takes its place; on any exception all is as it was.

    Args:
        new: Where what is whole and on disk now stands under another name in the same folder, by the name it gets.
        aside: A free name for each of the files or folders that go or are replaced, by the name they have; what is not
            there does not matter. It stays under that name.

    Raises:
        OSError: Where the disk refuses; all is as it was.
    """
    plan = None
    folders = {path.parent.resolve() for path in (*new, *aside)}
    # Names of one folder alone: a list found in a folder must not have a say on files elsewhere.
    if len(new) + len(aside) > 1 and len(folders) == 1 and os.name == "posix":
        plan = plan_of(next(iter((*new, *aside))))
    try:
        if plan is not None:
            _write(plan, {"new": _names(new), "aside": _names(aside)})
        for path, old in aside.items():
            if path.exists():
                path.replace(old)
        for path, part in new.items():
            part.replace(path)
        _forget(plan)
    except BaseException:  # Ctrl-C, too
        to_the_end(lambda: _undo(new, aside, plan))
        raise


def to_the_end(work: Callable[[], None]) -> None:
    """Do what must not stay half done: Ctrl-C in its midst is heard when it is done.

    Args:
        work: Done anew where it was interrupted, so what it has done already it must find done.

    Raises:
        KeyboardInterrupt: After the work, where one came in between.
    """
    interrupted = None
    while True:
        try:
            work()
            break
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


def _undo(new: Mapping[Path, Path], aside: Mapping[Path, Path], plan: Path | None) -> None:
    # The new goes back under its temporary name, not away: cut off here, a later process still finishes the list.
    for path, part in new.items():
        if not part.exists():
            with suppress(OSError):
                path.replace(part)
    for path, old in aside.items():
        if old.exists():
            with suppress(OSError):
                old.replace(path)
    _forget(plan)


def _forget(plan: Path | None) -> None:
    if plan is not None:
        with suppress(OSError):
            plan.unlink()


def finish_swaps(folder: Path) -> bool:
    """Go on with what a killed process of this machine has left half done in a folder.

    Args:
        folder: Of the files.

    Returns:
        Whether nothing is left to be done; False where another process is about to do it.
    """
    if os.name != "posix":
        return True
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".swap")]
    except OSError:
        return True
    done = [_finish(folder / name) for name in names if (found := left_behind(name)) and found["kind"] == "swap"]
    return all(done)


def _finish(plan: Path) -> bool:
    import fcntl

    try:
        handle = os.open(plan, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as stream:
        try:
            # Gone with its holder, however that ends.
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_mine(stream.fileno()) or not plan.exists():
                return False
            listed = _read(stream.read(_MOST_BYTES), plan.parent)
            if listed is not None:
                _go_on(*listed)
            plan.unlink()
        except OSError:
            return False
    for old in () if listed is None else listed[1].values():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):
                old.unlink(missing_ok=True)
    return True


def _go_on(new: Mapping[Path, Path], aside: Mapping[Path, Path]) -> None:
    for path, old in aside.items():
        # Where something stands that is new already, what was there has gone aside, or there was nothing.
        waits = path not in new or new[path].exists()
        if path.exists() and waits and not old.exists():
            path.replace(old)
    for path, part in new.items():
        if part.exists():
            part.replace(path)


def _is_mine(handle: int) -> bool:
    """Of a folder that all may write to, only one's own lists are believed."""
    found = os.fstat(handle)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _names(pairs: Mapping[Path, Path]) -> list[list[str]]:
    return [[path.name, other.name] for path, other in pairs.items()]


def _write(plan: Path, listed: dict[str, list[list[str]]]) -> None:
    handle = os.open(plan, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(json.dumps(listed).encode())
        stream.flush()
        os.fsync(stream.fileno())


def _read(raw: bytes, folder: Path) -> tuple[dict[Path, Path], dict[Path, Path]] | None:
    """Both lists, or None of one that was not finished: then nothing had been renamed."""
    try:
        stated = json.loads(raw)
        pairs = [[(str(name), str(other)) for name, other in stated[kind]] for kind in ("new", "aside")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    for name, other in (*pairs[0], *pairs[1]):
        if Path(name).name != name or Path(other).name != other or left_behind(other) is None:
            return None
    new, aside = ({folder / name: folder / other for name, other in each} for each in pairs)
    return new, aside
