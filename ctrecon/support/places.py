"""Where results may go: asked before any work is done, so that nothing is lost by finishing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ctrecon.errors import OutputError
from ctrecon.support.atomic import check_writable, output_error
from ctrecon.support.leftovers import sweep


def check_places(paths: Iterable[Path], *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before the work, files that cannot be written, that are there already, or that are inputs of the work.

    Args:
        paths: All files that will be written or removed together.
        overwrite: Whether files that are there may be replaced.
        inputs: Files that are read and must stay; where one is missing it does not matter.

    Raises:
        OutputError: With the file's name and the remedy. Links are refused, whatever they lead to.
    """
    places = list(paths)
    read = {given.resolve(): given for given in inputs}
    for path in places:
        folder = path.parent
        if not folder.is_dir():
            raise OutputError(f"the folder {folder} of {path.name} does not exist; create it or give another name")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{path}: cannot be written: no permission in its folder; choose another one")
        sweep(folder)
        check_writable(path)
        if path.resolve() in read:
            raise OutputError(f"{path} would replace the input {read[path.resolve()]}; give another name")
    there = [path for path in places if path.exists()]
    if there and not overwrite:
        more = f" and {len(there) - 1} more files of this result are" if len(there) > 1 else " is"
        raise OutputError(f"{there[0]}{more} there already; add --overwrite to replace them, or give another name")


def check_results_folder(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """The same for files ``names`` in a folder that may be made: makes it. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from None
    check_places([folder / name for name in names], overwrite=overwrite)


def check_new_folder(folder: Path, *, overwrite: bool, ours: Callable[[str], bool]) -> None:
    """Refuse a folder that is a link or a file, that is not empty, or (to be overwritten) holds what is not ``ours``.

    Args:
        folder: May be missing, but not the folder it is in.
        overwrite: Whether what is ours in it may be replaced.
        ours: Whether a name in it is one that we write there.

    Raises:
        OutputError: With the folder's name and the remedy.
    """
    parent = folder.resolve().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(f"{folder}: cannot be written: {parent} is no folder that you may write to; choose another")
    sweep(parent)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder}: cannot be written: it is a file or a link; choose another name")
    if not folder.exists():
        return
    there = sorted(entry.name for entry in folder.iterdir())
    if there and not overwrite:
        raise OutputError(f"{folder} is not empty ({len(there)} entries); choose another name or add --overwrite")
    others = [name for name in there if not ours(name)]
    if others:
        raise OutputError(f"{folder} holds {others[0]!r}, which is no part of such a result and would be lost; move it")
