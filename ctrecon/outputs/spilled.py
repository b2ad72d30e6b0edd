"""A slice of a series while the others are made: its pixels and its certificate on disk, for as long as it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.series.ct_image import SeriesPart
from ctrecon.support.arrays import Array


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
        arrays: dict[str, Any] = {}
        for name in ("stored", "misfit"):
            path = self._folder / f"{index}.{name}.npy"
            np.save(path, getattr(one, name), allow_pickle=False)
            arrays[name] = _Array(path)
        history = one.history
        if history is not None:
            history = self._file(f"{index}.history", history()).read_bytes
        certificate = one.certificate
        if certificate is not None:
            files = {
                part: self._file(f"{index}.{number}.part", raw)
                for number, (part, raw) in enumerate(certificate.files.items())
            }
            certificate = replace(certificate, files=_Files(files), values=_Values(files[""]))
        return replace(one, certificate=certificate, history=history, **arrays)

    def _file(self, name: str, raw: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(raw)
        return path


class _Array:
    """An array, read each time: a map of a file would keep it open, and count as memory what was looked at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        there = np.load(path, mmap_mode="r", allow_pickle=False)
        self.shape, self.dtype = there.shape, there.dtype

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.asarray(np.load(self._path, allow_pickle=False), dtype=dtype)

    def __getitem__(self, which: Any) -> Array:
        found: Array = np.asarray(self)[which]
        return found


class _Values(Mapping[str, Any]):
    """What a certificate's file says, read each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._path.read_bytes())
        return found

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class _Files(Mapping[str, bytes]):
    """A certificate's files, read when they are asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def __getitem__(self, part: str) -> bytes:
        return self._paths[part].read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
