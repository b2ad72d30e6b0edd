"""A sinogram in, a certified image out: this file only puts the parts together.

``prepare`` turns a scan into a problem (operator, energy, delta), a method turns the problem into an image, and
``conclude`` proves what is true of that image, from the image alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.classical.cgls import cgls
from ctrecon.classical.fbp import FilteredBackProjection, Window
from ctrecon.classical.smooth import smooth_image
from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import Direction, NegativeGradient
from ctrecon.descent.step import Armijo, StepSearch
from ctrecon.descent.stopping import Discrepancy, Plateau, Reason
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import GeometryError, InputError, SettingError
from ctrecon.geometry import ImageGrid
from ctrecon.networks.direction import APPROACH, NetworkDirection, Precondition
from ctrecon.networks.mirrored import Mirrored
from ctrecon.noise import Delta
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import OperatorName, choose_operator
from ctrecon.operators.sparse import SparseOperator
from ctrecon.scan import Array, Scan

Watch = Callable[["Progress"], None]

# Methods aim this much below delta, so that what float32 found still holds when float64 checks it.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Progress:
    """One iteration as a person follows it: ``energy`` E(u) and ``residual`` ``||W^(1/2)(Au - f)||``."""

    iteration: int
    energy: float
    residual: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A scan made ready: everything a method needs. Tensors have a batch of one and live on ``device``."""

    scan: Scan
    delta: Delta
    operator: LinearOperator
    energy: LeastSquares
    precondition: Precondition
    shape: tuple[int, int]
    device: torch.device

    @property
    def start(self) -> Tensor:
        return torch.zeros((1, 1, *self.shape), device=self.device)

    @property
    def weights(self) -> Array | None:
        return None if self.delta.norm == "2-norm" or self.scan.variance is None else 1 / self.scan.variance

    @property
    def grid(self) -> ImageGrid | None:
        return self.scan.grid


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a method leaves: the image ``[rows, columns]`` (float32, 1/mm), why it ended, and its history."""

    image: Array
    reason: str
    history: tuple[Progress, ...]


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """An image with its evidence. ``certificate`` is None where delta is not met; ``residual`` is the true one."""

    problem: Problem
    outcome: Outcome
    certificate: FeasibleCertificate | None
    residual: float
    seconds: float = field(default=0.0)

    @property
    def image(self) -> Array:
        return self.outcome.image

    @property
    def certified(self) -> bool:
        return self.certificate is not None

    @property
    def iterations(self) -> int:
        return self.outcome.history[-1].iteration if self.outcome.history else 0


def prepare(
    scan: Scan, delta: Delta, *, operator: OperatorName | None = None, device: str | None = None
) -> Problem:
    """Choose the operator and build the energy ``1/2 ||W^(1/2) (A u - f)||^2``; tensors are ``[1, 1, ...]``, float32.

    Without a grid the scan's field of view is covered. Raises OperatorError where the named operator cannot run here,
    SettingError for a device that does not exist, InputError where no ray meets the image.
    """
    scan = scan.with_grid()
    where = _device(device)
    built: LinearOperator
    precondition: Precondition
    if scan.matrix is not None:
        if operator not in (None, "sparse"):
            raise SettingError(f"{scan.source} brings its own matrix, which only sparse can use, not {operator}")
        assert scan.image_shape is not None
        built = SparseOperator(scan.matrix, (1, *scan.image_shape), (1, *scan.sinogram.shape)).to(where)
        precondition = _few_conjugate_gradients(built)
    else:
        if scan.geometry is None or scan.grid is None:
            raise InputError(f"{scan.source} has neither a geometry nor a matrix; give --geometry FILE")
        built = choose_operator(scan.geometry, scan.grid, device=where, name=operator)
        try:
            precondition = FilteredBackProjection(scan.geometry, scan.grid)
        except GeometryError:
            # A geometry without an inversion formula of its own.
            precondition = _few_conjugate_gradients(built)
    if built.norm() == 0:
        raise InputError(f"{scan.source}: no ray meets the image, or the matrix is zero; check geometry and image size")
    data = torch.from_numpy(scan.sinogram)[None, None].to(where, torch.float32)
    weights = None
    if delta.norm == "whitened" and scan.variance is not None:
        weights = torch.from_numpy(1 / scan.variance)[None, None].to(where, torch.float32)
    return Problem(
        scan=scan,
        delta=delta,
        operator=built,
        energy=LeastSquares(built, data, weights),
        precondition=precondition,
        shape=(built.domain_shape[1], built.domain_shape[2]),
        device=where,
    )


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingError(f"there is no device {name!r}; use cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError(f"there is no GPU for --device {name}; use cpu")
    return device


def _few_conjugate_gradients(operator: LinearOperator) -> Precondition:
    """An approximate inverse for an operator without geometry."""
    return lambda residual: cgls(operator, residual, most_iterations=6).image


def energy_dissipation(
    problem: Problem, network: nn.Module, *, most_iterations: int = 30, watch: Watch | None = None
) -> Outcome:
    """The learned method: the network's directions, dissipated, until delta is certified.

    Each direction is the average over four mirror images, four passes of ``network``.
    """
    energy, operator = problem.energy, problem.operator
    delta = torch.full((1,), problem.delta.value, dtype=torch.float64, device=problem.device)
    smooth = smooth_image(HuberTVSolver(operator, energy.data), energy.data, delta, energy.weights)
    asked = Mirrored(network.to(problem.device))
    direction = NetworkDirection(asked, energy, problem.precondition, smooth)
    return _descent(problem, direction, None, most_iterations, 0.01, watch)


def gradient_descent(problem: Problem, *, most_iterations: int = 2000, watch: Watch | None = None) -> Outcome:
    """Steepest descent with backtracking, as in the paper's comparisons; stops at delta."""
    length = 1 / problem.energy.lipschitz

    class Scaled(NegativeGradient):
        def __call__(self, point: object) -> Tensor:
            # In units where tau = 1 is a sensible first try; backtracking starts there.
            return 2 * length * super().__call__(point)  # type: ignore[arg-type]

    return _descent(problem, Scaled(), Armijo(), most_iterations, 1e-4, watch)


def _descent(
    problem: Problem,
    direction: Direction,
    step: StepSearch | None,
    most_iterations: int,
    plateau: float,
    watch: Watch | None,
) -> Outcome:
    history: list[Progress] = []
    stop = (Discrepancy(problem.delta.value, approach=APPROACH), Plateau(plateau))
    last: Iterate | None = None
    for last in descend(
        problem.energy, direction, problem.start, step=step, stop=stop, most_iterations=most_iterations
    ):
        residual = last.point.discrepancy
        assert residual is not None
        history.append(Progress(last.k, float(last.point.value), float(residual)))
        if watch is not None:
            watch(history[-1])
    assert last is not None
    reason = last.reasons[0] or Reason.BUDGET
    return Outcome(image=_image(last.u), reason=reason.value, history=tuple(history))


def conjugate_gradients(problem: Problem, *, most_iterations: int = 500, watch: Watch | None = None) -> Outcome:
    """CGLS, stopped at delta."""
    result = cgls(
        problem.operator,
        problem.energy.data,
        most_iterations=most_iterations,
        delta=problem.delta.value * (1 - ROUNDING),
        weights=problem.energy.weights,
    )
    return _classical(problem, result.image, result.reason[0], int(result.iterations[0]), watch)


def huber_tv(problem: Problem, *, watch: Watch | None = None) -> Outcome:
    """Huber-TV with non-negativity, its weight chosen so that the residual meets delta (Morozov)."""
    result = tv_at_discrepancy(
        problem.operator,
        problem.energy.data,
        problem.delta.value * (1 - ROUNDING),
        weights=problem.energy.weights,
    )
    return _classical(problem, result.image, result.reason[0], int(result.iterations[0]), watch)


def filtered_back_projection(
    problem: Problem, *, window: Window = "ram-lak", watch: Watch | None = None
) -> Outcome:
    """FBP; it knows nothing of delta, so whether it meets it is found afterwards. Needs a geometry."""
    if problem.scan.geometry is None or problem.grid is None:
        raise InputError(f"{problem.scan.source} has no geometry, which FBP needs; use another --method")
    image = FilteredBackProjection(problem.scan.geometry, problem.grid, window=window)(problem.energy.data)
    return _classical(problem, image, "computed in one pass", 1, watch)


def _classical(problem: Problem, image: Tensor, reason: str, iterations: int, watch: Watch | None) -> Outcome:
    history = []
    for k, u in ((0, problem.start), (iterations, image)):
        point = problem.energy.at(u)
        assert point.discrepancy is not None
        history.append(Progress(k, float(point.value), float(point.discrepancy)))
        if watch is not None:
            watch(history[-1])
    return Outcome(image=_image(image), reason=reason, history=tuple(history))


def _image(u: Tensor) -> Array:
    return np.ascontiguousarray(u[0, 0].detach().cpu().numpy(), dtype=np.float32)


def conclude(
    problem: Problem, outcome: Outcome, *, source: str | None = None, began: float | None = None
) -> Reconstruction:
    """Prove, in float64 and from the image alone, whether it explains the data to within delta.

    ``source`` is the path of the input file, whose hash the certificate notes; ``began`` a ``time.monotonic()``.
    """
    scan = problem.scan
    found = certify(
        outcome.image,
        scan.sinogram,
        scan.geometry,
        scan.grid,
        problem.delta.value,
        weights=problem.weights,
        matrix=scan.matrix,
        source=source,
    )
    return Reconstruction(
        problem=problem,
        outcome=outcome,
        certificate=None if isinstance(found, NotCertified) else found,
        residual=found.residual,
        seconds=0.0 if began is None else time.monotonic() - began,
    )
