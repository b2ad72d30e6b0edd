"""A slice of a series while the others are made: its pixels and its certificate on disk, for as long as it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctrecon.dicom.series.ct_image import SeriesPart


class Spill:
    """A folder for them, which the caller removes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, index: int, one: SeriesPart) -> SeriesPart:
        """Put a slice on disk: what is not looked at takes no memory.

        Args:
            index: Of the slice, which names its files.
            one: The slice in memory.

        Returns:
            The same slice, as it lies on disk.
        """
        arrays = {}
        for name in ("stored", "misfit"):
            path = self._folder / f"{index}.{name}.npy"
            np.save(path, getattr(one, name), allow_pickle=False)
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        certificate = one.certificate
        if certificate is not None:
            paths = {}
            for number, (part, raw) in enumerate(certificate.files.items()):
                paths[part] = self._folder / f"{index}.{number}.part"
                paths[part].write_bytes(raw)
            certificate = replace(certificate, files=_OnDisk(paths))
        return replace(one, certificate=certificate, **arrays)


class _OnDisk(Mapping[str, bytes]):
    """A certificate's files, read when they are asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def __getitem__(self, part: str) -> bytes:
        return self._paths[part].read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
