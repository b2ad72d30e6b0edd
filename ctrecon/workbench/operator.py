"""``ctrecon.operator``: the projector of a scan, for one's own programs and networks."""

from __future__ import annotations

import torch
from torch import Tensor

from ctrecon.classical.fbp import Window
from ctrecon.classical.inversion import Inversion, inversion
from ctrecon.errors import InputError, OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.scan import Scan
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import OperatorName, choose, place_matrix
from ctrecon.operators.differentiable import applied
from ctrecon.operators.sparse import SparseOperator
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.arguments import checked
from ctrecon.support.torch_state import plain_torch


class ScanOperator(LinearOperator):
    """``A`` of a scan: ``A(u)``, ``A.T(f)``, and where its geometry has a formula ``A.fbp(f)``.

    A layer like any other: ``.to``, ``.double``, ``copy.deepcopy``, pickle, gradients of every order
    (``ctrecon.operators.base.LinearOperator``).
    """

    def __init__(self, projector: LinearOperator, geometry: Geometry | None, grid: Grid | None, source: str) -> None:
        super().__init__(projector.domain_shape, projector.range_shape)
        self.projector, self.geometry, self.grid, self.source = projector, geometry, grid, source
        self.matched, self.adjoint_defect = projector.matched, projector.adjoint_defect
        self._filters: dict[tuple[str, float], Inversion] = {}

    def fbp(self, f: Tensor, *, window: Window = "ram-lak", cutoff: float = 1.0) -> Tensor:
        """Filtered back projection, an approximate inverse.

        Args:
            f: ``[batch, 1, views, detectors]``, floating point, on any device. The map is linear, and differentiable
                any number of times, in both modes and under ``vmap``; it computes in float32, also of float64.
            window: The filter's window, ``"ram-lak"`` to ``"hann"``.
            cutoff: The highest frequency that passes, as a share of Nyquist's.

        Returns:
            ``[batch, 1, rows, columns]``, in the dtype and on the device of ``f``.

        Raises:
            GeometryError: Where no formula is known for the geometry.
            OperatorError: For another shape or type.
            SettingError: For an unknown window.
        """
        self._check(f, self.range_shape, "a sinogram")
        if f.device.type == "meta":  # its filters would be made there, and kept
            raise OperatorError("fbp was given a sinogram on the meta device, which has no values")
        if self.geometry is None or self.grid is None:
            raise OperatorError(f"{self.source} has no geometry, which fbp needs; use A.T(f) or reconstruct")
        key = window, cutoff
        with plain_torch():
            if key not in self._filters:
                self._filters[key] = inversion(self.geometry, self.grid, window=window, cutoff=cutoff)
        return applied(f, self._filters[key], False)

    def norm(self) -> float:
        return self.projector.norm()

    def _forward(self, x: Tensor) -> Tensor:
        return self.projector._forward(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.projector._adjoint(y)

    def _probe(self) -> Tensor:
        return self.projector._probe()

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return self.projector._computed_in(dtype)

    def extra_repr(self) -> str:
        """The projector, and on what."""
        on = "a matrix" if self.geometry is None or self.grid is None else f"{self.geometry.title}, {self.grid.said}"
        return f"{type(self.projector).__name__}, {on}"


@checked
def operator(
    scan: Scan | Simulated, *, device: str | None = None, name: OperatorName | None = None
) -> ScanOperator:
    """``A`` with ``A(u)``, ``A.T(f)`` and ``A.fbp(f)`` as a ``torch.nn.Module``, differentiable any number of times.

    Args:
        scan: Its geometry and grid (by default over the field of view), or its matrix.
        device: ``"cpu"``, ``"cuda"``, ...; None for a GPU where there is one. ``A.to(device)`` moves it.
        name: ``"sparse"``, ``"joseph"`` or ``"astra"``; None by device and size.

    Returns:
        From images ``[batch, 1, rows, columns]`` in 1/mm to line integrals ``[batch, 1, views, detectors]``.

    Raises:
        InputError: What is no scan.
        OperatorError: Where the one named cannot run here.
    """
    if isinstance(scan, Simulated):
        scan = scan.scan
    if not isinstance(scan, Scan):
        raise InputError(f"operator takes a ctrecon.Scan, got {type(scan).__name__}; use ctrecon.read_scan for a file")
    scan = scan.with_grid()
    if scan.matrix is not None:
        assert scan.image_shape is not None
        own = SparseOperator(scan.matrix, (1, *scan.image_shape), (1, *scan.sinogram.shape))
        return ScanOperator(place_matrix(own, device=device).operator, scan.geometry, scan.grid, scan.source)
    assert scan.geometry is not None
    assert scan.grid is not None
    chosen = choose(scan.geometry, scan.grid, device=device, name=name)
    return ScanOperator(chosen.operator, scan.geometry, scan.grid, scan.source)
