"""ASTRA's projectors as operators: CUDA for work on a GPU, the CPU ones as a reference. Only this file imports astra.

Tensors are handed over by DLPack, so nothing is copied. Without a usable GPU, ASTRA's CUDA calls do not fail but leave
garbage behind or end the process, hence the question to ``astra.use_cuda()`` before each.
W. van Aarle et al., Fast and flexible X-ray tomography using the ASTRA toolbox, Optics Express 24, 2016.
"""

from __future__ import annotations

import weakref
from typing import Any

import astra
import astra.experimental
import numpy as np
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.operators.base import LinearOperator
from ctrecon.support.device import gpu_is_listed

# Up to 2.4 the two-dimensional CUDA algorithms read tensors on the GPU as if they were in main memory.
_LEAST_VERSION = (2, 5)
# The CUDA back projection reads the sinogram at each pixel's shadow instead of spreading each ray over its pixels.
# Between white noises of 60 x 72 pixels and 48 views an H100 gave 1.5e-3 (parallel) and 3.0e-3 (fan) with ASTRA 2.5.
_CUDA_DEFECT = 5e-3


def cuda_is_usable() -> bool:
    """Whether ASTRA and torch both see a GPU, and ASTRA is new enough to take torch's tensors there."""
    version = tuple(int(part) for part in astra.__version__.split(".")[:2] if part.isdigit())
    return version >= _LEAST_VERSION and gpu_is_listed() and bool(astra.use_cuda())


class AstraOperator(LinearOperator):
    """ASTRA's CUDA projectors: ``[batch, 1, rows, columns] -> [batch, 1, views, detectors]``, 1/mm to line integrals.

    float32 tensors on ``device``. The adjoint is not exactly the transpose (``matched`` is False): the stated defect
    is above all ``|<A x, y> - <x, A^T y>| / (|A x| |y|)`` that were measured between white noises; no bound is proved,
    and certificates use a projector of their own. Raises OperatorError without a usable GPU.
    """

    matched = False
    adjoint_defect = _CUDA_DEFECT

    def __init__(self, geometry: Geometry, grid: Grid, *, device: torch.device | str = "cuda") -> None:
        super().__init__((1, *grid.shape), (1, *geometry.shape))
        if not cuda_is_usable():
            raise OperatorError(
                "the operator astra needs a CUDA GPU and astra-toolbox 2.5 or newer, and this machine lacks one of "
                "them; use joseph or sparse"
            )
        self.geometry, self.grid = geometry, grid
        index = torch.device(device).index
        self.device = torch.device("cuda", torch.cuda.current_device() if index is None else index)
        astra.set_gpu_index(self.device.index)
        self._connect()
        self._check_scale()

    def extra_repr(self) -> str:
        return f"{self.geometry!r}, {self.grid!r}, on {self.device}"

    def _connect(self) -> None:
        self._projector = _projector(self, "cuda", self.geometry, self.grid)

    def __getstate__(self) -> dict[str, Any]:
        return _without_projector(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        if device != self.device or dtype != torch.float32:
            raise OperatorError(
                f"this operator works in float32 on {self.device}, not in {dtype} on {device}; make one with "
                "device=..., or use sparse"
            )

    def _forward(self, x: Tensor) -> Tensor:
        return self._run(x, self.range_shape, forward=True)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._run(y, self.domain_shape, forward=False)

    def _probe(self) -> Tensor:
        return torch.empty(0, dtype=torch.float32, device=self.device)

    def _run(self, values: Tensor, shape: tuple[int, ...], *, forward: bool) -> Tensor:
        if values.device != self.device or values.dtype != torch.float32:
            raise OperatorError(
                f"this operator takes float32 on {self.device}, got {values.dtype} on {values.device}"
            )
        out = torch.zeros((values.shape[0], *shape), dtype=torch.float32, device=self.device)
        # ASTRA has streams of its own: what torch has queued must be done before, and ASTRA's work after.
        torch.cuda.synchronize(self.device)
        for given, wanted in zip(values[:, 0], out[:, 0], strict=True):
            _run_astra(self._projector, given, wanted, forward=forward)
        torch.cuda.synchronize(self.device)
        return out

    def _check_scale(self) -> None:
        """One honest pair, because a back projection on another scale than the projection would ruin every descent."""
        x = torch.ones((1, *self.domain_shape), dtype=torch.float32, device=self.device)
        y = self(x)
        ratio = float((x.double() * self.adjoint(y).double()).sum() / (y.double() ** 2).sum())
        if not abs(ratio - 1) <= 0.05:
            raise OperatorError(
                f"ASTRA's CUDA back projection is {ratio:.3g} times the transpose for this geometry; use joseph"
            )


class AstraCpuOperator(LinearOperator):
    """ASTRA's CPU projectors, a reference to compare with: single-threaded, float32, matched up to rounding.

    ``projector`` is ASTRA's name, by default ``linear`` (Joseph) for parallel beams and ``line_fanflat`` (Siddon) for
    fans; ``strip_fanflat`` averages over the cell's width (no offset). ASTRA steps along a ray in float32, which makes
    its ``linear`` differ from Joseph's weights by about 4e-8 of the result for each pixel of the image's side (more in
    noise, less in smooth images). Raises OperatorError for a name ASTRA does not know.
    """

    def __init__(self, geometry: Geometry, grid: Grid, *, projector: str | None = None) -> None:
        super().__init__((1, *grid.shape), (1, *geometry.shape))
        self.geometry, self.grid = geometry, grid
        if projector is None:
            projector = "linear" if geometry.to_vectors().parallel else "line_fanflat"
        if "cuda" in projector:
            raise OperatorError(f"{projector!r} runs on the GPU; use AstraOperator")
        self._name = projector
        self._connect()

    def extra_repr(self) -> str:
        return f"{self._name}, {self.geometry!r}, {self.grid!r}"

    def _connect(self) -> None:
        self._projector = _projector(self, self._name, self.geometry, self.grid)

    def __getstate__(self) -> dict[str, Any]:
        return _without_projector(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        if device.type != "cpu" or dtype != torch.float32:
            raise OperatorError(f"this operator works in float32 on the CPU, not in {dtype} on {device}; use sparse")

    def _forward(self, x: Tensor) -> Tensor:
        return self._run(x, self.range_shape, forward=True)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._run(y, self.domain_shape, forward=False)

    def _run(self, values: Tensor, shape: tuple[int, ...], *, forward: bool) -> Tensor:
        if values.device.type != "cpu" or values.dtype != torch.float32:
            raise OperatorError(f"this operator takes float32 on the CPU, got {values.dtype} on {values.device}")
        out = torch.zeros((values.shape[0], *shape), dtype=torch.float32)
        for given, wanted in zip(values[:, 0], out[:, 0], strict=True):
            _run_astra(self._projector, given, wanted, forward=forward)
        return out


def _run_astra(projector: int, given: Tensor, wanted: Tensor, *, forward: bool) -> None:
    if forward:
        astra.experimental.direct_FP2D(projector, given, wanted)
    else:
        astra.experimental.direct_BP2D(projector, wanted, given)


def _without_projector(operator: LinearOperator) -> dict[str, Any]:
    """The state of a copy: ASTRA's number for a projector dies with its owner and means nothing in another process."""
    return {name: value for name, value in operator.__dict__.items() if name != "_projector"}


def _projector(owner: object, name: str, geometry: Geometry, grid: Grid) -> int:
    """ASTRA's number for a projector, given back when ``owner`` goes."""
    tall, wide = grid.in_plane("ASTRA's projector").spacing_mm
    if tall != wide:
        raise OperatorError(
            f"ASTRA's projectors in the plane have square pixels, not {tall:g} x {wide:g} mm; use joseph or sparse"
        )
    (height, width), (x, y) = grid.size_mm, grid.centre_mm[:2]
    volume = astra.create_vol_geom(
        grid.rows, grid.columns, x - width / 2, x + width / 2, y - height / 2, y + height / 2
    )
    try:
        projector = int(astra.create_projector(name, projection_geometry(geometry), volume))
    except astra.log.AstraError as error:
        raise OperatorError(f"ASTRA cannot make the projector {name!r} for this geometry: {error}") from None
    weakref.finalize(owner, astra.projector.delete, projector)
    return projector


def projection_geometry(geometry: Geometry) -> dict[str, Any]:
    """The geometry as ASTRA has it.

    By angles where an orbit says them and the detector stands in the middle, since some of ASTRA's projectors know
    nothing else; else by its vectors.

    Raises:
        OperatorError: for a curved detector in the plane, which ASTRA does not know.
    """
    vectors, orbit = geometry.to_vectors(), geometry.orbit
    if vectors.planar and vectors.radius_mm:
        raise OperatorError(
            f"ASTRA's projectors have flat detectors, not {type(geometry).__name__}'s; use joseph or sparse"
        )
    if orbit is None or not vectors.planar or not orbit.steady or orbit.detector_offset_mm:
        return vectors_for_astra(vectors)
    angles = np.asarray(orbit.angles_rad)
    if orbit.source_to_axis_mm is None or orbit.source_to_detector_mm is None:
        return dict(astra.create_proj_geom("parallel", vectors.column_mm, vectors.columns, angles))
    behind = orbit.source_to_detector_mm - orbit.source_to_axis_mm
    return dict(astra.create_proj_geom(
        "fanflat", vectors.column_mm, vectors.columns, angles, orbit.source_to_axis_mm, behind
    ))


def vectors_for_astra(vectors: Vectors) -> dict[str, Any]:
    """ASTRA's ``parallel_vec`` or ``fanflat_vec``, in space ``parallel3d_vec``, ``cone_vec`` or ``cyl_cone_vec``."""
    u = vectors.column_mm * vectors.u
    if vectors.planar:
        table = np.hstack([part[:, :2] for part in (vectors.source, vectors.detector, u)])
        name = "parallel_vec" if vectors.parallel else "fanflat_vec"
        return dict(astra.create_proj_geom(name, vectors.columns, table))
    table = np.hstack([vectors.source, vectors.detector, u, vectors.row_mm * vectors.v])
    name = "parallel3d_vec" if vectors.parallel else "cone_vec"
    if vectors.radius_mm:
        name, table = "cyl_cone_vec", np.hstack([table, np.full((len(table), 1), vectors.radius_mm)])
    return dict(astra.create_proj_geom(name, vectors.rows, vectors.columns, table))
