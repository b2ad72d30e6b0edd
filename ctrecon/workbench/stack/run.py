"""Doing a job: batch by batch here, or by an executor elsewhere, with how far it is and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ctrecon.io.slices import StackSource
from ctrecon.reconstruction.pieces import Pieces
from ctrecon.support.progress import Progress, Report
from ctrecon.workbench.stack.job import Done, Job, Workshop


class Executor(Protocol):
    """Does batches, in whatever order they end."""

    def run(self, job: Job, numbers: list[int]) -> Iterator[Done]:
        """Do batches.

        Args:
            job: What is reconstructed, and how.
            numbers: Of the batches, from 1, each once.

        Yields:
            What is said of a batch, in whatever order they end.

        Raises:
            CtreconError: What a batch raises.
        """
        ...


class Here:
    """One after the other, in this process."""

    def __init__(self, source: StackSource, progress: Report | None = None) -> None:
        self._source, self._progress = source, progress

    def run(self, job: Job, numbers: list[int]) -> Iterator[Done]:
        """See ``Executor``."""
        workshop = Workshop(job, self._source)
        for number in numbers:
            yield workshop.do(number, self._progress)[0]


@dataclass
class Ran:
    """What is done of a job: of each slice, by its number from 0, its ``files`` and its ``record``."""

    job: Job
    slices: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    taken_over: int = 0
    interrupted: bool = False

    @property
    def records(self) -> list[Mapping[str, Any]]:
        """What is said of the slices that are done, from the lowest."""
        return [self.slices[k]["record"] for k in sorted(self.slices)]


def run_job(
    job: Job, executor: Executor, *, progress: Report | None = None,
    watch: Callable[[int, Mapping[str, Any]], None] | None = None,
) -> Ran:
    """All batches, that of the middle slice first. An interrupt (Ctrl-C) after the first batch loses none that is done.

    Args:
        job: Planned.
        executor: Who does it.
        progress: Hears of the rate and of the time that is left, after each batch.
        watch: Hears of each slice once it is done: its number from 0, and what is said of it.

    Returns:
        What is done.

    Raises:
        CtreconError: As ``run``; what is done stays.
    """
    Pieces(Path(job.journal)).sweep()
    ran, pace = Ran(job), _Pace(job.count)
    try:
        for done in executor.run(job, job.order()):
            for one in done.slices:
                ran.slices[int(one["index"])] = one
                if watch is not None:
                    watch(int(one["index"]), one["record"])
            ran.taken_over += len(done.slices) * done.taken_over
            if progress is not None:
                progress(pace.now(len(ran.slices), len(done.slices) * (not done.taken_over)))
    except KeyboardInterrupt:
        if not ran.slices:
            raise
        ran.interrupted = True
    return ran


class _Pace:
    def __init__(self, total: int) -> None:
        self._total, self._began, self._made = total, time.monotonic(), 0

    def now(self, done: int, made: int) -> Progress:
        self._made += made
        minutes = (time.monotonic() - self._began) / 60
        values = {}
        if self._made and minutes > 0:
            rate = self._made / minutes
            values = {"slices per minute": rate, "minutes left": (self._total - done) / rate}
        return Progress(stage="stack", unit="slices", done=done, total=self._total, values=values)
