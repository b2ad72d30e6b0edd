"""The one place that decides which projector serves a geometry, and on which device."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.cache import cached_sparse_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import SparseOperator, matrix_fits, sparse_operator
from ctrecon.support.device import CPU, automatic_device, device_of, free_bytes, gpu_is_listed, in_a_line

OperatorName = Literal["sparse", "joseph", "astra"]
Uses = Literal["many", "some", "few"]

# As long as the processor's caches hold the matrix, products with batches are a third faster by it than by computing
# its weights anew; beyond, every product waits for the memory, and joseph is two to three times faster
# (tests/benchmarks: 164 x 164 with 120 views take 83 MB, 512 x 512 with 360 views 2.6 GB).
MEMORY_BUDGET_BYTES = 128 << 20


class Choice(NamedTuple):
    """An operator, the device it works on, and a sentence for the user where that is not what could be expected."""

    operator: LinearOperator
    device: torch.device
    note: str | None = None


def choose(
    geometry: Geometry,
    grid: Grid,
    *,
    name: OperatorName | None = None,
    device: str | None = None,
    uses: Uses = "many",
) -> Choice:
    """A float32 projector and its device, each as named or, where not named, as this machine serves best.

    What is not named never fails where the CPU would do: the note then says why the GPU is not used.

    Args:
        geometry: Of the scan.
        grid: Of the image.
        name: ``sparse``, ``joseph`` (CPU alone) or ``astra`` (GPU alone).
        device: ``cpu``, ``cuda``, ``cuda:1``.
        uses: ``"few"`` where the operator serves one image of many and a matrix would be made for each.

    Raises:
        OperatorError: The operator named does not exist or cannot work on the device.
        SettingError: The device named does not exist.
    """
    if device is not None:
        where = device_of(device)
        return Choice(choose_operator(geometry, grid, device=where, name=name, uses=uses), where)
    if name == "joseph" or in_space(geometry):
        operator = choose_operator(geometry, grid, name=name)
        return Choice(operator, CPU, _GPU_IDLE if gpu_is_listed() else None)
    where, note = automatic_device()
    if where.type != "cpu":
        try:
            there = name or _name_on_gpu(geometry, grid, where, uses)
            if there is not None:
                return Choice(choose_operator(geometry, grid, device=where, name=there), where)
            matrix = "its matrix does not fit" if uses == "many" else "a matrix for each slice does not pay"
            note = f"the GPU is not used: ASTRA does not serve this scan there, and {matrix}; the CPU is"
        except (OperatorError, RuntimeError) as why:
            if name == "astra":
                raise
            note = f"the GPU is not used ({in_a_line(why)}); the CPU is"
    return Choice(choose_operator(geometry, grid, name=name, uses=uses), CPU, note)


def in_space(geometry: Geometry) -> bool:
    """Whether a geometry measures a volume: data of views, rows and columns."""
    return len(geometry.shape) == 3


def _in_space(geometry: Geometry, grid: Grid, where: torch.device, name: OperatorName | None) -> LinearOperator:
    if name not in (None, "joseph") or where.type != "cpu":
        asked = f"on {where}" if name in (None, "joseph") else f"by {name}"
        raise OperatorError(f"volumes are projected by joseph on the CPU, not {asked}; drop operator and device")
    # Here, because numba is slow to import and slices do without.
    from ctrecon.operators.volume.joseph import VolumeJosephOperator

    return VolumeJosephOperator(geometry, grid)


def place_matrix(operator: SparseOperator, *, device: str | None = None) -> Choice:
    """The user's own matrix on the device named, else where this machine serves best.

    Args:
        operator: On the CPU; it is moved.
        device: ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        SettingError: The device named does not exist.
    """
    if device is not None:
        return Choice(operator.to(where := device_of(device)), where)
    where, note = automatic_device()
    try:
        return Choice(operator.to(where), where, note)
    except RuntimeError as why:
        return Choice(operator.to(CPU), CPU, f"the GPU is not used ({in_a_line(why)}); the CPU is")


_GPU_IDLE = "the GPU is not used, because the operator joseph works on the CPU alone"


def _name_on_gpu(geometry: Geometry, grid: Grid, device: torch.device, uses: Uses) -> OperatorName | None:
    """``astra`` where it serves, ``sparse`` where a matrix fits half the free memory and pays, else None."""
    # Here, because the import is slow and most runs do without.
    from ctrecon.operators.astra import cuda_is_usable

    if cuda_is_usable() and _flat_and_square(geometry, grid):
        return "astra"
    fits = uses == "many" and matrix_fits(geometry, grid, free_bytes(device) // 2)
    return "sparse" if fits else None


def _flat_and_square(geometry: Geometry, grid: Grid) -> bool:
    """Whether ASTRA's projectors in the plane know such detectors and such pixels."""
    vectors, (tall, wide) = geometry.to_vectors(), grid.spacing_mm
    return vectors.planar and not vectors.radius_mm and tall == wide


def choose_operator(
    geometry: Geometry,
    grid: Grid,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    name: OperatorName | None = None,
    memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
    uses: Uses = "many",
) -> LinearOperator:
    """A projector for a geometry and a grid.

    On a GPU ``astra`` where it serves, else ``sparse``. On the CPU ``sparse`` where the matrix and its transpose fit
    the budget and will serve many products, else ``joseph``, which needs no memory and no preparation. In space it is
    ``joseph``.

    Args:
        geometry: Of the scan.
        grid: Of the image.
        device: Where the tensors are, by default the CPU, or with ``name="astra"`` the GPU.
        dtype: Of the tensors.
        name: Overrides: ``sparse``, ``joseph`` or ``astra``.
        memory_budget_bytes: What a matrix may take where it is chosen.
        uses: ``"few"`` where few products will be asked for; ``"some"``, some dozens, where numba need not be loaded
            for them: a matrix without its transpose then.

    Returns:
        ``[batch, 1, rows, columns] -> [batch, 1, views, detectors]``, in space ``[batch, 1, slices, rows, columns] ->
        [batch, 1, views, rows, detectors]``.

    Raises:
        OperatorError: The name does not exist or cannot serve ``dtype`` on ``device``.
    """
    where = torch.device("cpu" if device is None else device)
    if in_space(geometry):
        return _in_space(geometry, grid, where, name)
    if name is None:
        if where.type != "cpu":
            name = _name_on_gpu(geometry, grid, where, "many") or "sparse"
        else:
            fits = uses != "few" and matrix_fits(geometry, grid, memory_budget_bytes)
            if fits and uses == "some":
                return sparse_operator(geometry, grid, dtype=dtype, few=True)
            name = "sparse" if fits else "joseph"
    if name == "astra":
        # Here, because the import is slow and most runs do without.
        from ctrecon.operators.astra import AstraOperator

        if dtype != torch.float32:
            raise OperatorError(f"astra works in float32 only, not in {dtype}; use joseph or sparse")
        if device is not None and where.type == "cpu":
            raise OperatorError(f"astra works on a GPU only, not on {where}; use joseph or sparse, or --device cuda")
        return AstraOperator(geometry, grid, device="cuda" if device is None else where)
    if name == "sparse":
        return cached_sparse_operator(geometry, grid, dtype=dtype).to(where)
    if name == "joseph":
        if where.type != "cpu":
            raise OperatorError(f"joseph works on the CPU only, not on {where}; use astra or sparse")
        return JosephOperator(geometry, grid)
    raise OperatorError(f"there is no operator {name!r}; use sparse, joseph or astra")
