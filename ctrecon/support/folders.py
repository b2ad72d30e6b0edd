"""A whole folder or none: filled under a temporary name beside it, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrecon.support.atomic import Files, output_error
from ctrecon.support.leftovers import sweep
from ctrecon.support.places import check_new_folder
from ctrecon.support.swap import to_the_end
from ctrecon.support.temporary_names import aside_of


@contextmanager
def new_folder(
    folder: Path, *, ours: Callable[[str], bool], overwrite: bool = False, also: Files | None = None
) -> Iterator[Path]:
    """Give a temporary folder to fill; when the block ends well it becomes ``folder``, whole and on disk.

    On any exception the temporary folder is removed and ``folder`` stays as it was. ``also``: files that belong to it
    and appear together with it. Raises OutputError.
    """
    folder = Path(folder)
    check_new_folder(folder, ours=ours, overwrite=overwrite)
    target = folder.resolve()
    sweep(target.parent)
    partial, old = aside_of(target).with_suffix(".part"), aside_of(target)
    try:
        partial.mkdir()
        yield partial
        for path in (*partial.rglob("*"), partial):
            _to_disk(path)
        (also or Files()).commit({target: partial}, {target: old} if target.exists() else {})
    except OSError as why:
        raise output_error(folder, why) from why
    finally:
        to_the_end(lambda: _clean(target, partial, old))


def _clean(target: Path, partial: Path, old: Path) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)


def make_parents(folder: Path) -> None:
    """The folders above ``folder``. Raises OutputError where they cannot be made."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise output_error(folder.parent, why) from None


def _to_disk(path: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
