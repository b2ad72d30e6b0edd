"""From the pieces of a stack to its volume: written once, in order, and swapped in when it is whole and on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.io.npy import read_npy
from ctrecon.measurement.units import MM
from ctrecon.outputs.stack.formats import load_format, stack_suffix
from ctrecon.outputs.stack.lookup import evidence_of
from ctrecon.outputs.stack.manifest import NAME, SIGNATURE, Manifest
from ctrecon.outputs.stack.names import EVIDENCE
from ctrecon.outputs.stack.volume_file import HU, shown
from ctrecon.reconstruction.pieces import Pieces, beside
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import check_writable, output_error
from ctrecon.support.leftovers import sweep
from ctrecon.support.swap import swap, to_the_end
from ctrecon.support.temporary_names import aside_of

if TYPE_CHECKING:
    from ctrecon.support.site_key import SiteKey


@dataclass(frozen=True, kw_only=True)
class StackTarget:
    """Where a stack is written: ``NAME.zarr`` with its evidence inside, or a file with ``NAME.evidence/`` beside it.

    ``water_mu``: the attenuation of water in 1/mm for a volume in HU; None for what the scan says, else the usual one.
    ``key`` signs the manifest.
    """

    path: Path
    water_mu: float | None = None
    key: SiteKey | None = None
    overwrite: bool = False

    @property
    def suffix(self) -> str:
        """How its name ends."""
        found = stack_suffix(self.path)
        assert found is not None
        return found

    @property
    def evidence(self) -> Path:
        """Where manifest and certificates stand."""
        return evidence_of(self.path)

    @property
    def places(self) -> tuple[Path, ...]:
        """All that appears."""
        return (self.path,) if self.suffix == ".zarr" else (self.path, self.evidence)

    def check(self, inputs: Iterable[Path] = ()) -> None:
        """Before any work: whether the stack can be written.

        Args:
            inputs: Files and folders that are read, and must not be replaced.

        Raises:
            OutputError: For an unknown suffix, a folder that cannot be written to, a link, what is there already and is
                not to be replaced or is no stack, or an input in its place.
        """
        if stack_suffix(self.path) is None:
            raise OutputError(f"{self.path}: a stack is written as .zarr, .nii.gz, .tif or .h5; give another -o NAME")
        folder = self.path.resolve().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OutputError(
                f"{self.path}: cannot be written: {folder} is no folder that you may write to; choose another"
            )
        sweep(folder)
        read = {given.resolve() for given in inputs}
        for place in self.places:
            if place.resolve() in read or any(place.resolve() in given.parents for given in read):
                raise OutputError(f"{place} would replace the input; give another -o NAME")
            if place.is_symlink():
                raise OutputError(f"{place}: cannot be written: it is a link, and links are not followed; remove it")
            if place.exists() and not self.overwrite:
                raise OutputError(f"{place} is there already; add --overwrite to replace it, or give another name")
            if place.is_dir() and not _ours(place):
                raise OutputError(f"{place} holds other things than a stack; move it, or give another name")
            if place.exists() and not place.is_dir():
                check_writable(place)

    def write(
        self, pieces: Pieces, manifest: Manifest, files: Mapping[int, Mapping[str, Any]],
        also: Mapping[Path, bytes] | None = None,
    ) -> dict[str, Path]:
        """Put volume, evidence and manifest in their place, all of it or nothing.

        Args:
            pieces: Where the slices' files are.
            manifest: Of the whole.
            files: The parts of each slice, by its number from 0.
            also: Files beside it that appear with it.

        Returns:
            The paths by what they are.

        Raises:
            OutputError: The disk is full, or the like.
        """
        def link(evidence: Path) -> None:
            for index, parts in files.items():
                for part in parts:
                    given = pieces.path(index, part)
                    _link(given, evidence / given.name)

        images = (read_npy(pieces.path(k, "image")) for k in range(manifest.shape[0]))
        return self._write(pieces.folder, manifest, link, images, also or {})

    def write_whole(self, manifest: Manifest, evidence: Mapping[str, bytes], image: Array) -> dict[str, Path]:
        """The same of a volume with one certificate.

        Args:
            manifest: With ``whole``.
            evidence: The files that belong to it, by name.
            image: ``[slices, rows, columns]``, as certified.

        Returns:
            The paths by what they are.

        Raises:
            OutputError: The disk is full, or the like.
        """
        def put(folder: Path) -> None:
            for name, raw in evidence.items():
                (folder / name).write_bytes(raw)

        return self._write(beside(self.path.resolve()), manifest, put, iter(image), {})

    def _write(
        self, folder: Path, manifest: Manifest, put: Callable[[Path], None], images: Iterator[Array],
        also: Mapping[Path, bytes],
    ) -> dict[str, Path]:
        """``put`` fills the folder of the evidence; ``folder`` is where all of it waits to be swapped in."""
        work = folder / "store"
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            volume = work / self.path.name
            evidence = volume / EVIDENCE if self.suffix == ".zarr" else work / self.evidence.name
            evidence.mkdir(parents=True)
            put(evidence)
            raw = manifest.to_bytes()
            (evidence / NAME).write_bytes(raw)
            if self.key is not None:
                (evidence / SIGNATURE).write_bytes(self.key.signed(raw))
            form = load_format(self.suffix)
            form.write(volume, manifest, (shown(manifest, image, form.values) for image in images))
            _to_disk(work)
            self._swap(work, also)
        except OSError as why:
            raise output_error(self.path, why) from None
        finally:
            to_the_end(lambda: shutil.rmtree(work, ignore_errors=True))
            with suppress(OSError):  # it holds the pieces
                folder.rmdir()
        return {"volume": self.path, "manifest": self.evidence / NAME}

    def _swap(self, work: Path, also: Mapping[Path, bytes]) -> None:
        """The old files go aside first: at no moment does a new one stand beside an old one."""
        for place, raw in also.items():
            (work / place.name).write_bytes(raw)
            _to_disk(work / place.name)
        new = {place: aside_of(place).with_suffix(".part") for place in (*reversed(self.places), *also)}
        aside = {place: aside_of(place) for place in new if place.exists()}
        try:
            for place, part in new.items():
                (work / place.name).rename(part)
            swap(new, aside)
            _to_disk(self.path.parent, deep=False)
        finally:
            done = not any(part.exists() for part in new.values())
            to_the_end(lambda: _remove((*(aside.values() if done else ()), *new.values())))


def _remove(places: Iterable[Path]) -> None:
    for place in places:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            with suppress(OSError):
                place.unlink(missing_ok=True)


def water_of(target_values: str, given: float | None, said: tuple[float, str]) -> float | None:
    """Water's attenuation for the manifest: what HU are made with, or what the scan says."""
    if given is not None and given <= 0:
        raise SettingError(f"the attenuation of water must be > 0 {MM.attenuation}, got {given:g}")
    return (given or said[0]) if target_values == HU or given is not None or said[1] == "from the scan" else None


def places_of(z: tuple[float, ...], grid: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """First voxel and steps (z, y, x). Raises InputError where slices are not evenly apart."""
    steps = np.diff(z)
    step = float(steps.mean()) if len(z) > 1 else 1.0
    if len(z) > 1 and np.abs(steps - step).max() > 1e-6 * max(1.0, abs(step)):
        raise InputError("the slices are not evenly apart, so they make no volume; write a DICOM series, -o FOLDER/")
    if grid is None:
        return (z[0], 0.0, 0.0), (step, 1.0, 1.0)
    dy, dx = grid.spacing_mm
    return (float(z[0]), float(-grid.y_mm[0]), float(grid.x_mm[0])), (step, float(dy), float(dx))


def stored_slices(path: Path, manifest: Manifest) -> Iterator[Array]:
    """The slices of a volume on disk, in order. Raises InputError."""
    suffix = stack_suffix(path)
    if suffix is None:
        raise InputError(f"{path}: is none of the formats of a stack")
    yield from load_format(suffix).read(path, manifest)


def _ours(folder: Path) -> bool:
    return (folder / NAME).is_file() or (folder / EVIDENCE / NAME).is_file() or not any(folder.iterdir())


def _link(given: Path, place: Path) -> None:
    """A second name for the file; a copy where the disk knows none."""
    try:
        os.link(given, place)
    except OSError:
        shutil.copyfile(given, place)


def _to_disk(path: Path, *, deep: bool = True) -> None:
    if os.name == "nt":  # where a folder cannot be opened
        return
    for one in (*(path.rglob("*") if deep else ()), path):
        with suppress(FileNotFoundError):
            handle = os.open(one, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
