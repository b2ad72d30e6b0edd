"""What the page may ask: everything by the number of an entry, and every answer bounded. No word of HTTP here."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ctrecon.errors import InputError, SettingError
from ctrecon.outputs.report.content import gather
from ctrecon.outputs.report.page import render
from ctrecon.outputs.report.stack_content import gather_stack, gather_whole
from ctrecon.outputs.report.volume_page import render_stack
from ctrecon.outputs.stack.lookup import evidence_of, stack_of
from ctrecon.support.arrays import Float32Array
from ctrecon.support.text import printable
from ctrecon.workbench.desk.index import Entry, Index
from ctrecon.workbench.desk.look import look_at
from ctrecon.workbench.desk.planes import OPENERS, Shelf, manifest_of, open_array
from ctrecon.workbench.desk.scans import Scans
from ctrecon.workbench.desk.status import UNSAID, Status, of_image, of_series, of_volume
from ctrecon.workbench.verify import verify

MOST_PAGE_BYTES = 64 << 20
"""Of a report that is opened."""
_MOST_FILES, _HEAD = 20_000, 1 << 16
_OUR_REPORT = b"ctrecon \xc2\xb7 reconstruction report"
_REPORTED = ("image", "volume")
_CHECKED = ("image", "picture", "volume", "series")


class Desk:
    """A folder as the page sees it. ``chosen`` is the number of what is shown first; None for nothing.

    ``water_mu_per_mm``: attenuation of water, for Hounsfield units; None for what files say, else what is usual.
    """

    def __init__(self, folder: Path, chosen: Path | None = None, water_mu_per_mm: float | None = None) -> None:
        self._water = water_mu_per_mm
        self.index = Index(folder)
        self.chosen = None if chosen is None else self.index.number_of(chosen)
        self._shelf, self._scans = Shelf(), Scans()
        self._checked: dict[int, tuple[object, Status, tuple[str, ...]]] = {}
        self._checking = threading.Lock()
        self._secret = secrets.token_bytes(32)

    def listed(self) -> dict[str, Any]:
        """The folder and its entries.

        Returns:
            Plain values for JSON: the folder's name, what is shown first, and number, name, group and kind of each
            entry.
        """
        return {
            "folder": printable(str(self.index.folder)), "chosen": self.chosen, "evidence": self.index.evidence,
            "left_out": self.index.left_out,
            "entries": [
                {"number": one.number, "name": printable(one.path.name), "group": printable(one.group),
                 "kind": one.kind, "size": one.size, "why": printable(one.why)}
                for one in self.index.entries()
            ],
        }  # fmt: skip

    def status(self, number: int) -> dict[str, Any]:
        """What is known of whether an entry is certified, without reading more than its evidence.

        Args:
            number: Of the entry.

        Returns:
            Plain values for JSON.

        Raises:
            InputError: Where there is no such entry.
        """
        entry = self.index.entry(number)
        return self._said(entry, _STATUS[entry.kind](entry.path) if entry.kind in _STATUS else UNSAID)

    def look(self, number: int) -> dict[str, Any]:
        """All that is said of an entry that is chosen.

        Args:
            number: Of the entry.

        Returns:
            Plain values for JSON: its name and kind, words, facts, and the shape of its planes where it has any.

        Raises:
            InputError: Where there is no such entry, or it cannot be read.
        """
        entry = self.index.entry(number)
        common = {"number": number, "name": printable(entry.path.name), "kind": entry.kind}
        if entry.kind == "report":
            _check_report(entry.path)
            return common | {"report": self.key_of(number), **_words(UNSAID)}
        if entry.kind == "scan":
            facts, _ = self._scans.read(entry.path, state_of(entry.path))
            return common | {"facts": [[name, printable(text)] for name, text in facts], **_words(UNSAID)}
        planes, sample = self._shelf.sent(entry.kind, entry.path, state_of(entry.path), None)
        found = look_at(entry.kind, entry.path, planes, sample, self._water)
        report = (entry.kind in _REPORTED and found.status.checkable) or bool(entry.kind == "image" and found.facts)
        return common | self._said(entry, found.status) | found.to_dict() | {
            "shape": list(planes.shape), "channels": planes.channels, "factor": planes.factor,
            "report": self.key_of(number) if report else None,
        }  # fmt: skip

    def plane(self, number: int, k: int) -> Float32Array:
        """One plane of an entry, as it is sent.

        Args:
            number: Of the entry.
            k: Of the plane, from 0.

        Returns:
            ``[rows, columns]``, of colours ``[rows, columns, 3]``.

        Raises:
            InputError: Where there is no such entry or plane, or it cannot be read.
        """
        entry = self.index.entry(number)
        if entry.kind not in OPENERS:
            raise InputError(f"{entry.path.name}: is a {entry.kind}, which has no planes")
        return self._shelf.sent(entry.kind, entry.path, state_of(entry.path), k)[1]

    def sinogram(self, number: int) -> bytes:
        """The picture of a scan.

        Args:
            number: Of the entry.

        Returns:
            The bytes of a PNG file.

        Raises:
            InputError: Where the entry is no scan, or cannot be read.
        """
        entry = self.index.entry(number)
        if entry.kind != "scan":
            raise InputError(f"{entry.path.name}: is a {entry.kind}, no scan")
        return self._scans.read(entry.path, state_of(entry.path))[1]

    def check(self, number: int) -> dict[str, Any]:
        """Run the checker on an entry; what it found stays until a file changes.

        Args:
            number: Of the entry.

        Returns:
            As ``status``.

        Raises:
            SettingError: While another check runs.
            InputError: Nothing there can be checked.
        """
        entry = self.index.entry(number)
        if entry.kind not in _CHECKED:
            raise InputError(f"{entry.path.name}: is a {entry.kind}, of which there is nothing to check")
        if not self._checking.acquire(blocking=False):
            raise SettingError("another check is running; wait for it")
        try:
            before = state_of(entry.path)
            found = verify(entry.path)
            told = _STATUS[entry.kind](entry.path)
            # Between the two a file may have changed: then nothing is kept.
            if state_of(entry.path) == before:
                self._checked[number] = (before, _after(found, told), tuple(str(found).splitlines()))
        finally:
            self._checking.release()
        return self._said(entry, told)

    def report(self, number: int, key: str) -> bytes:
        """A page for a tab of its own: a report on disk, or that of an image, written anew and not kept.

        Args:
            number: Of the entry.
            key: ``key_of(number)``: whoever has the page of one report cannot open another by it.

        Returns:
            HTML.

        Raises:
            InputError: Another key; no report of ours.
        """
        if not hmac.compare_digest(key.encode(), self.key_of(number).encode()):
            raise InputError("this is no address of a report")
        entry = self.index.entry(number)
        if entry.kind == "report":
            _check_report(entry.path)
            return entry.path.read_bytes()
        if entry.kind == "volume":
            whole = gather_whole(entry.path)
            if whole is None:
                return render_stack(gather_stack(entry.path), water_mu_per_mm=self._water).encode()
            return render(whole, water_mu_per_mm=self._water).encode()
        return render(gather(entry.path), water_mu_per_mm=self._water).encode()

    def key_of(self, number: int) -> str:
        """The secret part of a report's address.

        Args:
            number: Of the entry.

        Returns:
            64 hexadecimal digits, others each time the desk is opened.
        """
        return hmac.new(self._secret, str(number).encode(), hashlib.sha256).hexdigest()

    def close(self) -> None:
        """Close the files that are open."""
        self._shelf.close()

    def _said(self, entry: Entry, told: Status) -> dict[str, Any]:
        """What a check found, where nothing changed since; else what the files say."""
        known = self._checked.get(entry.number)
        if known is None or known[0] != state_of(entry.path):
            return _words(told)
        return _words(known[1]) | {"checked": [printable(line) for line in known[2]]}


def _image(path: Path) -> Status:
    open_array(path)  # a header that cannot be is known here, before any value is asked for
    return of_image(path).status


def _picture(path: Path) -> Status:
    return of_image(path).status if path.suffix == ".npy" else UNSAID


def _report(path: Path) -> Status:
    _check_report(path)
    return UNSAID


_STATUS: dict[str, Callable[[Path], Status]] = {
    "image": _image,
    "picture": _picture,
    "report": _report,
    "volume": lambda path: of_volume(manifest_of(path)),
    "series": of_series,
}


def state_of(path: Path) -> object:
    """What changes when a file, its evidence, or anything in a folder does: names, sizes and times."""
    found = [path]
    if path.is_dir():
        found += islice(path.rglob("*"), _MOST_FILES)
    else:
        stem = path.name.removesuffix(".npy")
        found += [path.with_name(name) for name in os.listdir(path.parent)  # noqa: PTH208 - thousands, by name alone
                  if name.startswith(stem)]  # fmt: skip
        if stack_of(path) is not None:
            found += islice(evidence_of(path).rglob("*"), _MOST_FILES)
    stats = []
    for one in sorted(found):
        try:
            stat = one.stat()
        except OSError:
            continue
        stats.append((one.name, stat.st_size, stat.st_mtime_ns))
    return tuple(stats)


def _words(status: Status) -> dict[str, Any]:
    said = [*status.said, *(f"In doubt: {doubt}." for doubt in status.doubts)]
    said += [f"It says nothing: {why}." for why in status.nothing]
    tag, mood = status.tag, status.mood
    if mood in ("open", "good") and (status.doubts or status.nothing):
        tag, mood = f"{tag}; {'says nothing' if status.nothing else 'scan in doubt'}", "open"
    return {
        "tag": printable(tag), "mood": mood, "said": [printable(one) for one in said], "checkable": status.checkable,
        "checked": None,
    }  # fmt: skip


def _after(found: Any, told: Status) -> Status:
    """What is said after a check."""
    if not found.valid:
        return replace(told, tag="refused" if found.readable else "nothing to check", mood="bad",
                       said=(found.reason,), nothing=(), doubts=told.doubts)  # fmt: skip
    nothing = tuple(found.worth.get("says_nothing", told.nothing))
    if found.kind == "infeasible":
        return replace(told, tag="checked: nothing fits", mood="bad", said=(found.statement,), nothing=nothing)
    return replace(told, tag="checked: certified", mood="good", said=(found.statement,), nothing=nothing)


def _check_report(path: Path) -> None:
    """By its head: raises InputError for a page that ctrecon did not write, and for one that is too large."""
    if (size := path.stat().st_size) > MOST_PAGE_BYTES:
        raise InputError(f"{path.name}: has {size} bytes, more than a report has")
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if _OUR_REPORT not in head or b"Content-Security-Policy" not in head[:4096]:
        raise InputError(f"{path.name}: is no report of ctrecon; other pages are not opened here")
