"""All slices of a scan as one DICOM series, from the same job as a volume."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

from ctrecon.certificates.feasible import FeasibleCertificate
from ctrecon.certificates.infeasible import InfeasibleCertificate
from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.io.npy import read_npy
from ctrecon.measurement.delta import Delta
from ctrecon.outputs.series import SeriesTarget
from ctrecon.outputs.spilled import Spill
from ctrecon.reconstruction.conclude import Conclusion, Missed
from ctrecon.reconstruction.pieces import SCAN, Pieces, beside
from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem, prepare
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.arguments import checked
from ctrecon.support.progress import Report
from ctrecon.workbench.stack.job import plan
from ctrecon.workbench.stack.reconstruct import Stack
from ctrecon.workbench.stack.run import Executor, Here, Ran, run_job


@checked
def reconstruct_series(
    scan: str | os.PathLike[str],
    target: SeriesTarget,
    settings: Settings | None = None,
    *,
    spacing_mm: float | None = None,
    slice_mm: float | None = None,
    executor: Executor | None = None,
    progress: Report | None = None,
    watch: Callable[[int, Mapping[str, Any]], None] | None = None,
    stored: Callable[[int, Conclusion], None] = lambda k, result: None,
    said: Callable[[str], object] = lambda note: None,
) -> Stack:
    """As ``reconstruct_stack``, into a DICOM series; an interrupt ends the series with the slices that are done.

    Args:
        scan: A folder of CT projections, or a file with several rows whose lengths are in mm.
        target: Where the series goes.
        settings: Of every slice.
        spacing_mm: From slice to slice; None for a detector row at the axis.
        slice_mm: Thickness of a slice, None where not known.
        executor: Who does the batches; None for this process.
        progress: Hears of iterations, and after each batch of the rate and the time that is left.
        watch: Hears of each slice that is done: its number from 0, and what is said of it.
        stored: Hears of each slice as it is stored in the series, certified anew: its place in it, from 0.
        said: Hears what the series says of itself beyond the notes of the scan: axes, patient, water.

    Returns:
        What was done, and where it is.

    Raises:
        InputError: What cannot be read, or cannot become a series.
        SettingError: Settings of a single slice.
        OutputError: Where it cannot be written.
    """
    settings = Settings() if settings is None else settings
    pieces = Pieces(beside(target.folder.resolve()))
    job, source = plan(scan, settings, pieces.folder, spacing_mm=spacing_mm, scans=True)
    if source.shared:
        target.accept(source.read(job.middle))
    ran = run_job(job, Here(source, progress) if executor is None else executor, progress=progress, watch=watch)
    results = Conclusions(ran, pieces)
    waiting = pieces.folder / "series"
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir()
    try:
        written = target.write_each(
            results, method=settings.method, iterative=settings.method != "fbp", z_mm=results.z_mm,
            thickness_mm=slice_mm, spill=Spill(waiting), watch=stored, said=said,
        )  # fmt: skip
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    if not ran.interrupted:
        pieces.remove()
    return Stack(
        manifest=None, written=written, records=tuple(ran.records), planned=job.count, taken_over=ran.taken_over,
        interrupted=ran.interrupted,
    )  # fmt: skip


class Conclusions(Sequence[Conclusion]):
    """The slices of a job that are done, from the lowest, each put together from its pieces when it is asked for."""

    def __init__(self, ran: Ran, pieces: Pieces) -> None:
        self._ran, self._pieces = ran, pieces
        self._which = sorted(ran.slices)
        self._shared: Problem | None = None

    @property
    def z_mm(self) -> tuple[float, ...]:
        """Where each stands."""
        return tuple(float(one["z_mm"]) for one in self._ran.records)

    def __len__(self) -> int:
        return len(self._which)

    @overload
    def __getitem__(self, place: int) -> Conclusion: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Conclusion]: ...
    def __getitem__(self, place: int | slice) -> Conclusion | Sequence[Conclusion]:
        if isinstance(place, slice):
            raise InputError("slices of a series are asked for one by one")
        index = self._which[place]
        record, settings = self._ran.slices[index]["record"], self._ran.job.settings
        scan = replace(read_scan(self._pieces.path(index, SCAN)), source=record["source"])
        delta = Delta(**record["delta"])
        operator: Any = settings.operator
        problem = prepare(
            scan, delta, operator=operator, device=settings.device, most_attenuation=settings.most_attenuation,
            uses="few", norm=self._ran.job.norm, shared=self._shared,
        )  # fmt: skip
        self._shared = problem
        history = tuple(IterationRecord(int(k), float(e), float(r)) for k, e, r in record["history"])
        image = read_npy(self._pieces.path(index, "image"))
        return Conclusion(
            problem=replace(problem, scan=scan), outcome=Outcome(image=image, reason=record["reason"], history=history),
            residual=record["facts"]["residual"], seconds=record["facts"]["seconds"], method=settings.method,
            settings=settings, **self._proved(index),
        )  # fmt: skip

    def _proved(self, index: int) -> dict[str, Any]:
        told, parts = self._ran.slices[index]["record"]["facts"], self._ran.slices[index]["files"]
        files = {part: self._pieces.path(index, part).read_bytes() for part in parts if part != SCAN}
        values = json.loads(files[""]) if "" in files else None
        own: dict[str, Any] = {} if values is None else {
            "statement": values["statement"], "delta": values["delta"], "values": values, "files": files,
        }  # fmt: skip
        if told["status"] == "certified":
            assert values is not None
            bounds = {name: values[name] for name in ("residual", "residual_upper_bound")}
            return {"certificate": FeasibleCertificate(**own, **bounds), "missed": None}
        missed = None
        if "best_residual_in_box" in told:
            bound = {} if values is None else {name: values[name] for name in ("lower_bound", "lo", "hi")}
            missed = Missed(
                lower_bound=told["smallest_delta_not_excluded"], best_residual=told["best_residual_in_box"],
                most_attenuation=told["most_attenuation"],
                certificate=None if values is None else InfeasibleCertificate(**own, **bound),
            )  # fmt: skip
        return {"certificate": None, "missed": missed}

