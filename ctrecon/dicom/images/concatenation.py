"""Multi-frame images that were split into several objects (PS3.3, C.7.6.16.2.2.4): which parts are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from ctrecon.dicom.common.files import number_of, text_of


@dataclass
class Concatenations:
    """The parts found of each, by its UID, and how many it says that there are (0: it does not say)."""

    _parts: dict[str, set[int]] = field(default_factory=dict)
    _total: dict[str, int] = field(default_factory=dict)

    def add(self, ds: Dataset, name: str) -> None:
        """Note a file, whether it is a part of one or not."""
        uid = text_of(ds, "ConcatenationUID", name)
        if uid:
            self._parts.setdefault(uid, set()).add(int(number_of(ds, "InConcatenationNumber", name) or 0))
            total = int(number_of(ds, "InConcatenationTotalNumber", name) or 0)
            self._total[uid] = max(total, self._total.get(uid, 0))

    def notes(self, what: str) -> Iterator[str]:
        """One for each that is not known to be whole."""
        for uid, parts in self._parts.items():
            total, said = self._total[uid], ", ".join(map(str, sorted(parts)))
            if not total:
                yield f"{what} holds part {said} of a concatenated image, which does not say how many it has"
            elif parts != set(range(1, total + 1)):
                yield f"{what} holds part {said} of a concatenated image of {total} parts: the others are missing"
