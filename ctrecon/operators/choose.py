"""The one place that decides which projector serves a geometry."""

from __future__ import annotations

from typing import Literal

import torch

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.cache import cached_sparse_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import matrix_bytes

OperatorName = Literal["sparse", "joseph", "astra"]

# As long as the processor's caches hold the matrix, products with batches are a third faster by it than by computing
# its weights anew; beyond, every product waits for the memory, and joseph is two to three times faster
# (tests/benchmarks: 164 x 164 with 120 views take 83 MB, 512 x 512 with 360 views 2.6 GB).
MEMORY_BUDGET_BYTES = 128 << 20


def choose_operator(
    geometry: Geometry,
    grid: Grid,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    name: OperatorName | None = None,
    memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
    uses: Literal["many", "few"] = "many",
) -> LinearOperator:
    """A projector ``[batch, 1, rows, columns] -> [batch, 1, views, detectors]`` for ``dtype`` on ``device``.

    On a GPU ``astra``, or ``sparse`` for a detector that ASTRA does not know. On the CPU ``sparse`` where the matrix
    and its transpose fit ``memory_budget_bytes`` and will serve ``"many"`` products, else ``joseph``, which needs no
    memory and no preparation. ``name`` overrides.
    Raises OperatorError for a name that does not exist or cannot serve ``dtype`` on ``device``.
    """
    where = torch.device("cpu" if device is None else device)
    if name is None:
        if where.type != "cpu":
            name = "astra" if isinstance(geometry, ParallelBeam | FanBeam) else "sparse"
        else:
            fits = uses == "many" and matrix_bytes(geometry, grid) <= memory_budget_bytes
            name = "sparse" if fits else "joseph"
    if name == "astra":
        # Here, because the import is slow and most runs do without.
        from ctrecon.operators.astra import AstraOperator

        if dtype != torch.float32:
            raise OperatorError(f"astra works in float32 only, not in {dtype}; use joseph or sparse")
        return AstraOperator(geometry, grid, device="cuda" if where.type == "cpu" else where)
    if name == "sparse":
        return cached_sparse_operator(geometry, grid, dtype=dtype).to(where)
    if name == "joseph":
        if where.type != "cpu":
            raise OperatorError(f"joseph works on the CPU only, not on {where}; use astra or sparse")
        return JosephOperator(geometry, grid)
    raise OperatorError(f"there is no operator {name!r}; use sparse, joseph or astra")
