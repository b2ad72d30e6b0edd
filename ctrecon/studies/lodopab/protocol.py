"""What LoDoPaB-CT measures and how: 362 x 362 pixels of 26 cm, 1,000 parallel views, 513 cells, 4,096 photons.

J. Leuschner, M. Schmidt, D. Otero Baguer, P. Maass, "LoDoPaB-CT, a benchmark dataset for low-dose computed tomography
reconstruction", Scientific Data 8, 109, 2021. Images there are attenuations over 81.35858 per metre, cut to 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.measurement.counts import add_poisson_noise, line_integrals_from_counts
from ctrecon.operators.choose import choose_operator
from ctrecon.simulation.scanners import Scanner
from ctrecon.support.arrays import Float32Array, Float64Array

MU_MAX_PER_MM = 0.08135858
"""The attenuation that the set calls 1."""


@dataclass(frozen=True)
class Case:
    """An image ``[1, 1, rows, columns]`` in 1/mm, data ``[1, 1, views, cells]``, and ``weights``, 1 / variance.

    ``patient``: whose it is, as far as that is known.
    """

    patient: str
    truth: Tensor
    data: Tensor
    weights: Tensor


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The set's numbers. ``fine`` pixels a side have the images that our data are simulated of, as the set's have."""

    side: int = 362
    wide_mm: float = 260.0
    views: int = 1000
    cells: int = 513
    photons: float = 4096.0
    fine: int = 1000

    @cached_property
    def scanner(self) -> Scanner:
        geometry = ParallelBeam(
            angles_rad=tuple(((np.arange(self.views) + 0.5) * math.pi / self.views).tolist()),
            detector_count=self.cells, detector_spacing_mm=math.hypot(self.wide_mm, self.wide_mm) / self.cells,
        )  # fmt: skip
        return Scanner(geometry, Grid(rows=self.side, columns=self.side, pixel_mm=self.wide_mm / self.side))

    def brought(self, image: Float32Array, patient: str, seed: int) -> Case:
        """A slice as the set would have it: its middle, cut to 0 to 1, seen finely, counted.

        As in the set the middle ``side`` pixels are taken for 26 cm, whatever they measure.

        Args:
            image: ``[rows, columns]``, 1/mm.
            patient: Whose it is.
            seed: Of the noise.

        Returns:
            Image and data.

        Raises:
            InputError: For a slice of fewer pixels.
        """
        rows, columns = image.shape
        if min(rows, columns) < self.side:
            raise InputError(
                f"a slice of {patient} has {rows} x {columns} pixels; the protocol takes the middle {self.side} x "
                f"{self.side}: give slices of 512 x 512"
            )
        top, left = (rows - self.side) // 2, (columns - self.side) // 2
        middle = np.clip(image[top : top + self.side, left : left + self.side], 0, MU_MAX_PER_MM)
        truth = torch.from_numpy(middle.astype(np.float32))[None, None]
        # Finer than the image, so that the data are not those of the operator that reconstructs.
        seen = functional.interpolate(truth, (self.fine, self.fine), mode="bilinear", align_corners=False)
        grid = Grid(rows=self.fine, columns=self.fine, pixel_mm=self.wide_mm / self.fine)
        clean = choose_operator(self.scanner.geometry, grid, uses="few")(seen)[0, 0].numpy()
        measured = add_poisson_noise(clean, self.photons, seed)
        return _case(patient, truth, measured.values, measured.variance)

    def of_set(self, folder: Path, at_most: int | None = None) -> Iterator[Case]:
        """The test images of LoDoPaB-CT itself, evenly spaced where ``at_most`` says how many.

        Args:
            folder: With ``observation_test_*.hdf5``, ``ground_truth_test_*.hdf5`` and, where it is there, the list
                ``patient_ids_rand_test.csv``.
            at_most: How many images.

        Yields:
            Image and data.

        Raises:
            InputError: Where the files are not those of the set.
        """
        pairs = _pairs(folder)
        places = [(pair, k) for pair in pairs for k in range(pair.images)]
        patients = _patients(folder, len(places))
        count = len(places) if at_most is None else min(at_most, len(places))
        for i in range(count):
            number = i * len(places) // count
            pair, k = places[number]
            yield self._stored(pair, k, patients[number])

    def _stored(self, pair: _Pair, k: int, patient: str) -> Case:
        scan = read_scan(pair.observation, image=k)
        grid, geometry = self.scanner.grid, self.scanner.geometry
        if scan.grid is None or scan.geometry is None or (
            (scan.grid.shape, scan.geometry.shape) != (grid.shape, geometry.shape)
        ):
            raise InputError(f"{pair.observation}: holds no scans of LoDoPaB-CT")
        with Hdf5File(pair.truth) as file:
            stored = np.asarray(file.read_row("data", 0, k), dtype=np.float64)
        # x comes first there (ctrecon/io/lodopab.py).
        truth = np.ascontiguousarray(np.rot90(stored) * MU_MAX_PER_MM, dtype=np.float32)
        # What was counted: the set keeps its logarithm, with a tenth of a photon for none.
        values = np.asarray(scan.sinogram, dtype=np.float64)
        measured, variance = line_integrals_from_counts(self.photons * np.exp(-values), self.photons)
        return _case(patient, torch.from_numpy(truth)[None, None], measured, variance)


def _case(patient: str, truth: Tensor, values: Float64Array, variance: Float64Array) -> Case:
    data, weights = (torch.from_numpy(part.astype(np.float32))[None, None] for part in (values, 1 / variance))
    return Case(patient, truth, data, weights)


@dataclass(frozen=True)
class _Pair:
    observation: Path
    truth: Path
    images: int


def _pairs(folder: Path) -> list[_Pair]:
    found = sorted(folder.glob("observation_test_*.hdf5"))
    if not found:
        raise InputError(f"{folder} holds no observation_test_*.hdf5; unpack the set's test archives into it")
    pairs = []
    for observation in found:
        truth = observation.with_name(observation.name.replace("observation", "ground_truth"))
        if not truth.is_file():
            raise InputError(f"{folder} holds {observation.name} without {truth.name}; unpack both archives")
        shapes = []
        for path in (observation, truth):
            with Hdf5File(path) as file:
                shapes.append(file.dataset("data").shape)
        if len(shapes[0]) != 3 or len(shapes[1]) != 3 or shapes[0][0] != shapes[1][0]:
            raise InputError(f"{truth.name} has data {list(shapes[1])} beside {list(shapes[0])}; copy both again")
        pairs.append(_Pair(observation, truth, shapes[0][0]))
    return pairs


def _patients(folder: Path, images: int) -> list[str]:
    """Of each image; where the list is not whole, each image stands for itself."""
    path = folder / "patient_ids_rand_test.csv"
    names = path.read_text(encoding="utf-8").split() if path.is_file() else []
    return names if len(names) == images else [f"image {k}" for k in range(images)]
