"""What a folder holds, numbered: the page asks for numbers, and no path ever comes from it.

Folders one level down are groups. Links are not followed: a folder from elsewhere may hold one to anything.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.outputs.report.content import stem_of
from ctrecon.outputs.stack.formats import stack_suffix
from ctrecon.outputs.stack.lookup import evidence_of
from ctrecon.support.limits import reason
from ctrecon.workbench.desk.kinds import Place, kind_of

MOST_ENTRIES = 20_000
"""Of one folder, and of all together."""
NOT_SHOWN = {
    "unknown": "no kind of file that the desk shows",
    "folder": "a folder further down; open the desk on it",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """``group`` is the name of the sub-folder, empty for the folder itself; ``why`` it is not shown, else empty."""

    number: int
    path: Path
    kind: str
    group: str
    size: int
    why: str = ""


class Index:
    """The entries of ``folder``. A place keeps its number for as long as the desk is open."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: is no folder; give a folder, or a file in one")
        self.folder = folder.resolve()
        self._numbers: dict[Path, int] = {}
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self.evidence = self.left_out = 0
        self.look_again()

    def look_again(self) -> None:
        """List the folder anew. Raises InputError where it cannot be read."""
        with self._lock:
            self._entries, self.evidence, self.left_out = {}, 0, 0
            try:
                groups = self._list(self.folder, "")
            except OSError as why:
                raise InputError(f"{self.folder}: cannot be listed ({reason(why)})") from None
            for group in groups:
                try:
                    self._list(group, group.name)
                except OSError as why:
                    self._add(group, "folder", "", 0, f"cannot be listed ({reason(why)})")

    def entries(self) -> list[Entry]:
        """All of them, groups and names in order."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda one: (one.group, one.path.name.lower(), one.path.name))

    def entry(self, number: int) -> Entry:
        """The one with this number. Raises InputError where there is none, or a link stands there now."""
        with self._lock:
            found = self._entries.get(number)
        if found is None or found.why:
            raise InputError(f"nothing that can be shown has the number {number}; list the folder again")
        if found.path.is_symlink() or not found.path.exists():
            raise InputError(f"{found.path.name}: is no longer there; list the folder again")
        return found

    def number_of(self, path: Path) -> int:
        """Of a file or folder that a person names, or of what its evidence belongs to. Raises InputError."""
        wanted = _meant(path.parent.resolve() / path.name)
        for one in self.entries():
            if one.path in wanted and not one.why:
                return one.number
        why = next((one.why for one in self.entries() if one.path in wanted), "")
        raise InputError(f"{path}: {why or 'is nothing that the desk shows'}; ctrecon info says what a scan holds")

    def _list(self, folder: Path, group: str) -> list[Path]:
        """Adds what is there; folders that are nothing of their own are given back."""
        with os.scandir(folder) as listed:
            found = [one for one in islice(listed, MOST_ENTRIES + 1) if not one.name.startswith(".")]
        self.left_out += max(len(found) - MOST_ENTRIES, 0)
        beside = frozenset(one.name for one in found)
        groups = []
        for one in sorted(found[:MOST_ENTRIES], key=lambda one: one.name):
            path = folder / one.name
            if one.is_symlink():
                self._add(path, "unknown", group, 0, "is a link, which is not followed; open the desk where it leads")
                continue
            is_folder = one.is_dir(follow_symlinks=False)
            if not is_folder and not one.is_file(follow_symlinks=False):
                self._add(path, "unknown", group, 0, "is no regular file")
                continue
            try:
                kind = kind_of(Place(path, beside, _inside(path) if is_folder else None))
                size = 0 if is_folder else one.stat(follow_symlinks=False).st_size
            except OSError as why:
                self._add(path, "unknown", group, 0, f"cannot be read ({reason(why)})")
                continue
            if kind == "evidence":
                self.evidence += 1
            elif kind == "folder" and not group:
                groups.append(path)
            else:
                self._add(path, kind, group, size, NOT_SHOWN.get(kind, ""))
        return groups

    def _add(self, path: Path, kind: str, group: str, size: int, why: str) -> None:
        if len(self._entries) >= MOST_ENTRIES:
            self.left_out += 1
            return
        number = self._numbers.setdefault(path, len(self._numbers))
        self._entries[number] = Entry(number=number, path=path, kind=kind, group=group, size=size, why=why)


def home_of(path: Path) -> tuple[Path, Path | None]:
    """The folder that a desk on ``path`` shows, and what in it is chosen.

    Args:
        path: A folder of results; or a file, or a folder that is one thing (a store, a series, evidence).

    Returns:
        The folder itself and None, or the folder that it stands in and the thing.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - not through a link: what is meant is the name
    if path.is_dir() and kind_of(Place(path, frozenset(), _inside(path))) == "folder":
        return path, None
    return path.parent, path


def _meant(path: Path) -> set[Path]:
    """What stands in the list for a name: the image of a certificate, the volume of a folder of evidence."""
    meant = {path}
    try:
        meant.add(path.with_name(stem_of(path) + ".npy"))
    except InputError:
        pass
    if path.is_dir() and path.name.endswith(".evidence"):
        meant |= {one for one in path.parent.glob("*") if stack_suffix(one) and evidence_of(one) == path}
    return meant


def _inside(folder: Path) -> frozenset[str]:
    with os.scandir(folder) as listed:
        return frozenset(one.name for one in islice(listed, MOST_ENTRIES))
