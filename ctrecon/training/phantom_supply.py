"""Phantoms drawn ahead of time, with their exact sinograms, in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import Scanner
from ctrecon.support.arrays import Float32Array

Sampler = Callable[[np.random.Generator], AnalyticPhantom]
_PER_TASK = 4


def draw_phantom(
    sampler: Sampler, rng: np.random.Generator, scanner: Scanner
) -> tuple[Float32Array, Float32Array]:
    """A phantom in a disc of the grid's size: its image ``[rows, columns]`` and its exact sinogram."""
    radius = scanner.grid.reach_mm() * rng.uniform(0.85, 0.98)
    phantom = sampler(rng).scaled(radius, WATER_MU_PER_MM)
    return phantom.image(scanner.grid), phantom.sinogram(scanner.geometry)


def _some(
    samplers: Sequence[Sampler], geometry: Any, grid: Any, seed: Sequence[int], count: int
) -> tuple[Float32Array, Float32Array]:
    rng = np.random.default_rng(seed)
    scanner = Scanner(geometry, grid)
    drawn = [draw_phantom(samplers[int(rng.integers(len(samplers)))], rng, scanner) for _ in range(count)]
    return np.stack([image for image, _ in drawn]), np.stack([sinogram for _, sinogram in drawn])


class PhantomSupply:
    """Draws phantoms for a scanner in ``workers`` processes, or, with none, when they are asked for.

    What is drawn depends on the seed given with each order, not on timing. Close it when done.
    """

    def __init__(self, samplers: Sequence[Sampler], workers: int) -> None:
        self._samplers = tuple(samplers)
        self._pool: ProcessPoolExecutor | None = None
        if workers > 0:
            # Not forked: a process that has started a GPU, or threads, cannot be.
            self._pool = ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
            )

    def order(self, scanner: Scanner, count: int, seed: Sequence[int]) -> Order:
        """``count`` phantoms for a scanner, to be had later."""
        parts = range(0, count, _PER_TASK)
        tasks = [
            (self._samplers, scanner.geometry, scanner.grid, (*seed, first), min(_PER_TASK, count - first))
            for first in parts
        ]
        if self._pool is None:
            return Order(tasks, None)
        return Order(tasks, [self._pool.submit(_some, *task) for task in tasks])

    def close(self) -> None:
        """Let the processes go; orders not yet begun are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class Order:
    """Phantoms that are on their way."""

    def __init__(self, tasks: list[tuple[Any, ...]], running: list[Future[Any]] | None) -> None:
        self._tasks, self._running = tasks, running

    @property
    def ready(self) -> bool:
        """Whether ``get`` would not wait for other processes."""
        return self._running is None or all(one.done() for one in self._running)

    def get(self) -> tuple[Tensor, Tensor]:
        """Images ``[count, 1, rows, columns]`` and sinograms ``[count, 1, views, cells]`` on the CPU."""
        if self._running is None:
            parts = [_some(*task) for task in self._tasks]
        else:
            parts = [one.result() for one in self._running]
        images, sinograms = (np.concatenate(each) for each in zip(*parts, strict=True))
        return torch.from_numpy(images)[:, None], torch.from_numpy(sinograms)[:, None]
