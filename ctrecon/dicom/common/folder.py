"""A whole folder or none: filled under a temporary name beside it, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrecon.errors import OutputError
from ctrecon.support.atomic import output_error


def check_folder(folder: Path, *, ours: Callable[[str], bool], overwrite: bool) -> None:
    """Raise OutputError unless ``folder`` may be written: new, empty, or to be overwritten and nothing but ``ours``."""
    parent = folder.resolve().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(f"{folder}: cannot be written: {parent} is no folder that you may write to; choose another")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder}: cannot be written: it is a file or a link; choose another name")
    if not folder.exists():
        return
    there = sorted(entry.name for entry in folder.iterdir())
    if there and not overwrite:
        raise OutputError(f"{folder} is not empty ({len(there)} entries); choose another name or add --overwrite")
    others = [name for name in there if not ours(name)]
    if others:
        raise OutputError(f"{folder} holds {others[0]!r}, which is not part of a series and would be lost; move it")


@contextmanager
def new_folder(folder: Path, *, ours: Callable[[str], bool], overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder to fill; when the block ends well it becomes ``folder``, whole and on disk.

    On any exception the temporary folder is removed and ``folder`` stays as it was. Raises OutputError.
    """
    folder = Path(folder)
    check_folder(folder, ours=ours, overwrite=overwrite)
    token = secrets.token_hex(4)
    target = folder.resolve()
    partial, old = (target.with_name(f".{target.name[:100]}.{token}.{what}") for what in ("part", "old"))
    try:
        partial.mkdir()
        yield partial
        for path in (*partial.rglob("*"), partial):
            _to_disk(path)
        if target.exists():
            target.rename(old)
            try:
                partial.rename(target)
            except OSError:
                old.rename(target)
                raise
        else:
            partial.rename(target)
        _to_disk(target.parent)
    except OSError as why:
        raise output_error(folder, why) from why
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _to_disk(path: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
