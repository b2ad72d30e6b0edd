"""What every method works on: a scan made ready, and what a method leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls
from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.classical.filled import Filled
from ctrecon.classical.inversion import inversion
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import GeometryError, InputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.mask import missing_note
from ctrecon.measurement.scan import Scan
from ctrecon.networks.direction import Precondition
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import OperatorName, Uses, choose, place_matrix
from ctrecon.operators.sparse import SparseOperator
from ctrecon.support.arrays import Array
from ctrecon.support.checkpoint import State
from ctrecon.support.elsewhere import Elsewhere

Watch = Callable[["IterationRecord"], None]


@dataclass(frozen=True)
class IterationRecord:
    """One iteration as a person follows it: ``energy`` E(u) and ``residual`` ``||W^(1/2)(Au - f)||``."""

    iteration: int
    energy: float
    residual: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A scan made ready: everything a method needs. Tensors have a batch of one and live on ``device``.

    ``most_attenuation``, in the units of the image, is the upper end of what an image may hold where it is asked
    whether any image at all meets delta; the lower end is zero. ``unfilled`` is ``precondition`` without what fills
    missing rays, ``note`` what was said of the operator: both for ``prepare`` of another scan of the same geometry.
    """

    scan: Scan
    delta: Delta
    operator: LinearOperator
    energy: LeastSquares
    precondition: Precondition
    shape: tuple[int, ...]
    device: torch.device
    most_attenuation: float
    unfilled: Precondition
    note: str | None = None

    @property
    def start(self) -> Tensor:
        return torch.zeros((1, 1, *self.shape), dtype=self.energy.data.dtype, device=self.device)

    @property
    def weights(self) -> Array | None:
        """What each ray counts, ``[views, detectors]``, 0 where it is missing; None where all count 1."""
        return self.scan.weights(whitened=self.delta.norm == "whitened")

    @property
    def grid(self) -> Grid | None:
        return self.scan.grid


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a method leaves: the image ``[rows, columns]`` (float32, 1/mm), why it ended, and its history."""

    image: Array
    reason: str
    history: tuple[IterationRecord, ...]

    @property
    def state(self) -> dict[str, State]:
        """As a checkpoint holds it."""
        return kept(self.history, image=torch.from_numpy(self.image), reason=self.reason)

    @staticmethod
    def resumed(state: Mapping[str, State]) -> Outcome:
        """The outcome of a checkpoint.

        Args:
            state: What ``state`` was.

        Returns:
            The same outcome.
        """
        history = tuple(taken_up(state["history"]))
        return Outcome(image=state["image"].cpu().numpy(), reason=state["reason"], history=history)


def kept(history: Sequence[IterationRecord], **facts: State) -> dict[str, State]:
    """A state of ``facts`` and a ``history``, as ``[iterations, 3]`` in float64."""
    rows = [[one.iteration, one.energy, one.residual] for one in history]
    return {"history": torch.tensor(rows, dtype=torch.float64).reshape(-1, 3), **facts}


def taken_up(history: Tensor | None) -> list[IterationRecord]:
    """The history of a state; nothing of None."""
    rows = [] if history is None else history.tolist()
    return [IterationRecord(int(k), energy, residual) for k, energy, residual in rows]


def prepare(
    scan: Scan,
    delta: Delta,
    *,
    operator: OperatorName | None = None,
    device: str | None = None,
    most_attenuation: float | None = None,
    uses: Uses = "many",
    norm: float | None = None,
    shared: Problem | None = None,
    elsewhere: Elsewhere | None = None,
) -> Problem:
    """Choose the operator and build the energy ``1/2 ||W^(1/2) (A u - f)||^2``; tensors are ``[1, 1, ...]``, float32.

    Args:
        scan: Of images ``[rows, columns]``, in space of volumes ``[slices, rows, columns]``. Without a grid its field
            of view is covered.
        delta: And the norm that it is of.
        operator: ``sparse``, ``joseph`` or ``astra``; None for a choice.
        device: Of the tensors; None for a choice, whose remark on an idle GPU joins the scan's notes.
        most_attenuation: Upper end of what an image may hold where it is asked whether any image meets delta, in 1/mm,
            or per detector cell where lengths are in cells. None for so much that a single pixel absorbs as much as the
            whole of the most absorbing ray: that follows from the data in whatever unit they are, and excludes nothing
            that could have been measured.
        uses: ``"few"`` where the operator serves few products.
        norm: ``||A||`` where it is known, which saves estimating it.
        shared: A problem of the same geometry and grid, whose operator serves this one, too, and where as much is
            cut off also its inverse.
        elsewhere: Of a volume measured in space, who computes projector and filtered back projection.

    Returns:
        Everything that a method needs.

    Raises:
        OperatorError: Where the named operator cannot run here.
        SettingError: For a device that does not exist, or an impossible attenuation.
        InputError: Where no ray meets the image, or the scan has neither geometry nor matrix.
    """
    scan = scan.with_grid()
    built: LinearOperator
    precondition: Precondition
    if scan.matrix is not None:
        if operator not in (None, "sparse"):
            raise SettingError(f"{scan.source} brings its own matrix, which only sparse can use, not {operator}")
        assert scan.image_shape is not None
        own = SparseOperator(scan.matrix, (1, *scan.image_shape), (1, *scan.sinogram.shape))
        built, where, note = place_matrix(own, device=device)
        precondition = _few_conjugate_gradients(built)
    else:
        if scan.geometry is None or scan.grid is None:
            raise InputError(f"{scan.source} has neither a geometry nor a matrix; give --geometry FILE")
        if shared is not None and (shared.scan.geometry, shared.grid) == (scan.geometry, scan.grid):
            built, where, note = shared.operator, shared.device, shared.note
            # How far the object reaches beyond the detector is each scan's own.
            same = shared.scan.cells_cut_off == scan.cells_cut_off
            precondition = shared.unfilled if same else _inverse(built, scan)
        else:
            built, where, note = choose(scan.geometry, scan.grid, device=device, name=operator, uses=uses)
            precondition = _inverse(built, scan)
    missing = None if scan.mask is None else missing_note(scan.mask)
    scan = replace(scan, notes=(*scan.notes, *filter(None, (note, missing))))
    if elsewhere is not None:
        built, precondition = spread_out(built, precondition, elsewhere)
    if norm is not None:
        built.know_norm(norm)
    if built.norm() == 0:
        raise InputError(f"{scan.source}: no ray meets the image, or the matrix is zero; check geometry and image size")
    if most_attenuation is None:
        if scan.matrix is None and scan.grid is not None:
            longest = min(*scan.grid.spacing_mm, scan.grid.slice_mm or math.inf)
        else:
            longest = float(np.abs(scan.matrix.data).max())
        most_attenuation = float(np.abs(scan.sinogram).max()) / longest
    if not (math.isfinite(most_attenuation) and most_attenuation >= 0):
        raise SettingError(f"the most attenuation must be a finite number >= 0, got {most_attenuation}")
    data = torch.from_numpy(scan.sinogram)[None, None].to(where, torch.float32)
    counted = scan.weights(whitened=delta.norm == "whitened")
    weights = None if counted is None else torch.from_numpy(counted)[None, None].to(where, torch.float32)
    unfilled = precondition
    if scan.mask is not None:
        precondition = Filled(scan.filling(), precondition, where)
    return Problem(
        scan=scan,
        delta=delta,
        operator=built,
        energy=LeastSquares(built, data, weights),
        precondition=precondition,
        shape=built.domain_shape[1:],
        device=where,
        most_attenuation=most_attenuation,
        unfilled=unfilled,
        note=note,
    )


def _inverse(operator: LinearOperator, scan: Scan) -> Precondition:
    assert scan.geometry is not None
    assert scan.grid is not None
    try:
        return inversion(scan.geometry, scan.grid, cells_cut_off=scan.cells_cut_off)
    except GeometryError:
        # A geometry without an inversion formula of its own.
        return _few_conjugate_gradients(operator)


def spread_out(
    operator: LinearOperator, precondition: Precondition, elsewhere: Elsewhere
) -> tuple[LinearOperator, Precondition]:
    """Projector and inverse of a volume, computed elsewhere.

    Args:
        operator: Of a volume measured in space.
        precondition: Its inverse.
        elsewhere: Who computes.

    Returns:
        The same two, whose results have the same bytes.
    """
    # Here, because numba is slow to import and slices do without.
    from ctrecon.classical.spread import SpreadBackProjection
    from ctrecon.operators.volume.joseph import VolumeJosephOperator
    from ctrecon.operators.volume.spread import SpreadVolumeOperator

    assert isinstance(operator, VolumeJosephOperator), "only volumes that are measured in space are shared"
    spread = SpreadVolumeOperator(operator, elsewhere)
    if type(precondition) is FeldkampBackProjection:
        return spread, SpreadBackProjection(precondition, elsewhere)
    return spread, _few_conjugate_gradients(spread)


def _few_conjugate_gradients(operator: LinearOperator) -> Precondition:
    """An approximate inverse for an operator without geometry."""
    return lambda residual: cgls(operator, residual, most_iterations=6).image
