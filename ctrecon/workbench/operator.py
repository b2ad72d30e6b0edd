"""``ctrecon.operator``: the projector of a scan, for one's own programs and networks."""

from __future__ import annotations

from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import OperatorName, choose, place_matrix
from ctrecon.operators.sparse import SparseOperator


def operator(scan: Scan, *, device: str | None = None, name: OperatorName | None = None) -> LinearOperator:
    """``A`` with ``A(u)`` and ``A.T(f)``, differentiable any number of times.

    Args:
        scan: Its geometry and grid (by default over the field of view), or its matrix.
        device: None for a GPU where there is one.
        name: ``"sparse"``, ``"joseph"`` or ``"astra"``; None by device and size.

    Raises:
        OperatorError: Where the one named cannot run here.

    """
    scan = scan.with_grid()
    if scan.matrix is not None:
        assert scan.image_shape is not None
        own = SparseOperator(scan.matrix, (1, *scan.image_shape), (1, *scan.sinogram.shape))
        return place_matrix(own, device=device).operator
    if scan.geometry is None or scan.grid is None:
        raise InputError(f"{scan.source} has neither a geometry nor a matrix")
    return choose(scan.geometry, scan.grid, device=device, name=name).operator
