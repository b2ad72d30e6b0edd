"""One job of many slices, and what a process does of it: any process that sees the same files does the same."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ctrecon.errors import SettingError
from ctrecon.io.slices import HowRead, StackSource, open_stack
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.operators.choose import choose
from ctrecon.reconstruction.pieces import Piece, Pieces, batch_key, files_of, job_key
from ctrecon.reconstruction.run import Once
from ctrecon.reconstruction.settings import Settings
from ctrecon.reconstruction.together import run_together, slices_together
from ctrecon.support.device import automatic_device, device_of
from ctrecon.support.progress import Report
from ctrecon.workbench.result import Reconstruction
from ctrecon.workbench.verdict import facts, verdict

_HOW = ("geometry", "image", "detectors_first", "every", "size", "pixel_mm", "center", "correct", "patient_position")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all batches have in common, in plain values that can be sent to another process.

    ``together``: so many slices make a batch; ``norm``: of the operator, where slices have operators of their own;
    ``key``: see ``pieces.job_key``; ``journal``: the folder of the pieces, which all processes see; ``scans``: whether
    the scans are kept with them, for a series; ``threads``: of each process, on which the last bits depend.
    """

    path: str
    settings: Settings
    spacing_mm: float | None
    journal: str
    count: int
    together: int
    norm: float | None
    key: str
    scans: bool = False
    threads: int = 1
    folder: str = "."

    @property
    def batches(self) -> int:
        """How many there are."""
        return -(-self.count // self.together)

    @property
    def middle(self) -> int:
        """The slice that is looked at first, and for what is wrong with all."""
        return self.count // 2

    def slices(self, number: int) -> range:
        """Which slices a batch holds.

        Args:
            number: Of the batch, from 1.

        Returns:
            Their numbers, from 0.
        """
        return range((number - 1) * self.together, min(number * self.together, self.count))

    def order(self) -> list[int]:
        """The order in which batches are done: that of the middle slice first, for the picture.

        Returns:
            Their numbers, from 1, each once.
        """
        first = self.middle // self.together + 1
        return [first, *(number for number in range(1, self.batches + 1) if number != first)]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A batch that is done: what is said of its slices, and whether an earlier run had done it."""

    number: int
    slices: tuple[Mapping[str, Any], ...]
    taken_over: bool


class Workshop:
    """What a process opens and loads once for a job: the source, the network, the operator."""

    def __init__(self, job: Job, source: StackSource | None = None) -> None:
        self.job = job
        self.once = Once(norm=job.norm)
        if source is not None:
            self.source = source
            return
        settings = _from_folder(job.settings, Path(job.folder))
        self.source = _open(job.path, settings, job.spacing_mm, job.together)
        if settings.prior is not None:
            self.once.network = load_ct_network(settings.prior)[0]

    def do(self, number: int, progress: Report | None = None) -> tuple[Done, list[Reconstruction]]:
        """Batch ``number``: taken over where an earlier run did it, else computed and kept. Raises as ``run``."""
        job, pieces = self.job, Pieces(Path(self.job.journal))
        which = job.slices(number)
        scans = [self.source.read(k) for k in which]
        look = which.index(job.middle) if job.middle in which else None
        key = batch_key(job.key, scans, more=(look, job.norm, job.together, job.scans))
        earlier = pieces.recall(number, key)
        if earlier is not None:
            return Done(number=number, slices=tuple(earlier), taken_over=True), []
        z = self.source.z_mm
        items = [f"slice {k + 1} of {job.count}, z = {z[k]:.3f} mm" for k in which]
        found = run_together(
            scans, job.settings, self.once, items=items, look=look, progress=progress, shared=self.source.shared
        )
        results = [Reconstruction(one) for one in found]
        kept = [
            Piece(
                index=k, files=files_of(one.conclusion, scan=job.scans),
                record={"of": job.count, **_record(one, z[k])},
            )
            for k, one in zip(which, results, strict=True)
        ]
        pieces.keep(number, key, kept)
        again = pieces.recall(number, key, whole=False)
        assert again is not None
        return Done(number=number, slices=tuple(again), taken_over=False), results


_OPEN: dict[str, Workshop] = {}
_ONE_AT_A_TIME = threading.Lock()


def do_batch(job: Job, number: int) -> Done:
    """The same in a process of its own, which keeps what it opened for the next batch of the same job."""
    with _ONE_AT_A_TIME:  # a worker may have several threads
        torch.set_num_threads(job.threads)
        if job.key + job.journal not in _OPEN:
            _OPEN.clear()
            _OPEN[job.key + job.journal] = Workshop(job)
        return _OPEN[job.key + job.journal].do(number)[0]


def plan(
    path: str | os.PathLike[str], settings: Settings, journal: Path, *, spacing_mm: float | None = None,
    scans: bool = False,
) -> tuple[Job, StackSource]:
    """The job of a file or folder, and its source, open.

    Raises:
        SettingError: Settings of a single slice.
        InputError: What cannot be read, or is no stack.
    """
    if settings.row is not None:
        raise SettingError(
            f"{os.fspath(path)}: --all-slices takes every row; projections bring their own geometry, too: drop "
            "--geometry, --row and --center"
        )
    if settings.all_rows or settings.bin != 1:
        raise SettingError(f"{os.fspath(path)}: --all-slices makes planes of rows; drop --all-rows and --bin")
    if settings.repeat is not None or settings.z_mm is not None:
        raise SettingError(f"{os.fspath(path)}: --all-slices takes every slice of one scan; drop --z and --repeat")
    settings = settings.of_scan(in_space=False)
    source = _open(os.fspath(path), settings, spacing_mm, 1)
    first = source.read(len(source.z_mm) // 2)
    shape = first.grid.shape if first.grid is not None else first.image_shape
    pixels = 1
    for side in shape or (512, 512):
        pixels *= side
    together = slices_together(settings.method, pixels, shared=source.shared)
    if together > 1:
        source = _open(os.fspath(path), settings, spacing_mm, together)
    norm = None
    if not source.shared and first.geometry is not None and first.grid is not None:
        asked: Any = settings.operator
        norm = choose(first.geometry, first.grid, device=settings.device, name=asked, uses="few").operator.norm()
    network = None
    if settings.prior is not None:
        network = load_ct_network(settings.prior)[0]
    where = automatic_device().device if settings.device is None else device_of(settings.device)
    job = Job(
        path=str(Path(path).resolve()), settings=settings, spacing_mm=spacing_mm, journal=str(journal.resolve()),
        count=len(source.z_mm), together=together, norm=norm, key=job_key(settings, network, device=where.type),
        scans=scans, threads=torch.get_num_threads(), folder=str(Path.cwd()),
    )  # fmt: skip
    return job, source


def _from_folder(settings: Settings, folder: Path) -> Settings:
    """Files that the settings name, for a process that stands in another folder."""
    found = {}
    for name in ("geometry", "prior"):
        value = getattr(settings, name)
        if value is not None and (folder / value).is_file():
            found[name] = str(folder / value)
    return dataclasses.replace(settings, **found)  # type: ignore[arg-type]


def _open(path: str, settings: Settings, spacing_mm: float | None, ahead: int) -> StackSource:
    how = HowRead(spacing_mm=spacing_mm, **{name: getattr(settings, name) for name in _HOW})
    return open_stack(path, how, ahead=ahead)


def _record(result: Reconstruction, z_mm: float) -> dict[str, Any]:
    """What is kept of a slice beside its files: for the manifest, for what is printed, and to go on from."""
    told = facts(result.conclusion, {"image": Path()})
    scan, delta = result.scan, result.delta
    grid = scan.grid
    return {
        "z_mm": z_mm, "source": scan.source,
        "certified": result.certified, "verdict": verdict(result.conclusion), "facts": told,
        "range": [float(result.image.min()), float(result.image.max())], "length_unit": scan.length_unit,
        "grid": None if grid is None else grid.to_dict(), "shape": list(result.image.shape),
        "water": scan.water_mu_per_mm, "position": scan.patient_position, "unit": scan.units.attenuation,
        "delta": dataclasses.asdict(delta), "reason": result.reason, "iterations": result.conclusion.iterations,
        "history": [[p.iteration, p.energy, p.residual] for p in result.history],
    }  # fmt: skip
