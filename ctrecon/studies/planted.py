"""Planted lesions of known truth: how many does an audit decide, and do all its ranges hold the truth?

Each case is an exact phantom with one more ellipse in it, scanned with exact line integrals and noise, reconstructed at
``delta = auto`` and audited with the default kappa. The truth is the contrast of the object's pixel means. A range may
miss it where the object is outside of its limits, so these are measured, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ctrecon.auditing.image_set import variation
from ctrecon.errors import SettingError
from ctrecon.phantoms import FAMILIES, Ellipse, Family, Phantom, Walnut
from ctrecon.simulation.simulate import phantom_radius_mm, simulate, standard_scanner
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.statistics import shares
from ctrecon.workbench.audit import audit
from ctrecon.workbench.reconstruct import reconstruct

KINDS: tuple[Family, ...] = (*FAMILIES, Walnut())
CONTRASTS = (0.1, 0.25, 0.5, 0.9)
"""Of water; brighter, or where the tissue has as much also darker."""
NOISES = (0.005, 0.02, 1e5)
"""A share of ``||f||``, or photons a ray."""
METHODS = ("energy", "huber-tv")
SIZE, VIEWS, FIRST_SEED = 48, (40, 80), 7000
ITERATIONS = 400


@dataclass(frozen=True, kw_only=True)
class Case:
    """One lesion: ``contrast`` of water, ``noise`` as in ``NOISES``."""

    number: int
    family: str
    contrast: float
    noise: float
    views: int
    method: str
    seed: int

    @property
    def key(self) -> str:
        return f"{self.seed} {self.family} {self.contrast:g} {self.noise:g} {self.views} {self.method}"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What an audit said of one lesion; contrasts in 1/mm, over that of water in ``contrast``.

    ``within``: whether the object meets delta, kappa and the box; where it does, the range must hold the ``truth``.
    """

    key: str
    family: str
    method: str
    contrast: float
    noise: float
    truth: float
    image: float
    lower: float
    upper: float
    kappa_of_truth: float
    delta_of_truth: float
    in_box: bool

    @property
    def decided(self) -> bool:
        return self.lower > 0 or self.upper < 0

    @property
    def holds(self) -> bool:
        return self.lower <= self.truth <= self.upper

    @property
    def within(self) -> bool:
        return self.in_box and self.kappa_of_truth <= 1 and self.delta_of_truth <= 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _With:
    """A family whose phantoms hold one more ellipse, where there is tissue."""

    family: Family
    gain: float

    @property
    def name(self) -> str:
        return self.family.name

    def sample(self, rng: np.random.Generator) -> Phantom:
        body = self.family.sample(rng)
        for _ in range(200):
            angle, away, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6), rng.uniform(0.1, 0.18)
            x, y = away * np.cos(angle), away * np.sin(angle)
            around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            r = radius * np.array([[0.0], [0.5], [1.0]])
            px, py = x + r * np.cos(around), y + r * np.sin(around)
            tissue = np.sum([p.value_at(px, py) for p in body.primitives], axis=0)
            if float(tissue.min()) >= -self.gain:  # no less than air
                return Phantom((*body.primitives, _lesion(float(x), float(y), float(radius), self.gain)))
        # There is no tissue of so much: it is brighter instead.
        return Phantom((*body.primitives, _lesion(float(x), float(y), float(radius), abs(self.gain))))


def _lesion(x: float, y: float, radius: float, gain: float) -> Ellipse:
    return Ellipse(center=(x, y), semi_axes=(radius, radius), value=gain)


def cases(count: int = 100, first_seed: int = FIRST_SEED) -> list[Case]:
    """``count`` lesions over families, contrasts, noises, views and methods in turn; the same for a ``first_seed``."""
    if count < 1:
        raise SettingError(f"there must be at least 1 lesion, got {count}")
    return [
        Case(
            number=k, family=KINDS[k % len(KINDS)].name, contrast=CONTRASTS[(k // len(KINDS)) % len(CONTRASTS)],
            noise=NOISES[(k + k // 3) % len(NOISES)], views=VIEWS[(k // 2) % len(VIEWS)],
            method=METHODS[(k + k // len(KINDS)) % len(METHODS)], seed=first_seed + k,
        )
        for k in range(count)
    ]  # fmt: skip


def plant(case: Case) -> tuple[Simulated, Ellipse]:
    """The scan of one lesion in an object, and the lesion in mm."""
    family = next(kind for kind in KINDS if kind.name == case.family)
    planted = _With(family=family, gain=case.contrast * (1 if case.number % 2 == 0 else -1))
    geometry, grid = standard_scanner("fan" if case.number % 3 else "parallel", SIZE, case.views)
    kind = {"photons": case.noise} if case.noise >= 1 else {"relative_noise": case.noise}
    made = simulate(planted, geometry, grid, seed=case.seed, **kind)
    placed = planted.sample(np.random.default_rng(case.seed)).primitives[-1]
    assert isinstance(placed, Ellipse)
    return made, placed


def measure(case: Case) -> Planted:
    """Simulate, reconstruct, audit."""
    made, lesion = plant(case)
    grid = made.scan.grid
    assert grid is not None
    scale = _radius_mm(made) / grid.square_mm  # pixels per unit of the phantom
    column = (grid.columns - 1) / 2 + lesion.center[0] * scale
    row = (grid.rows - 1) / 2 - lesion.center[1] * scale
    result = reconstruct(made.scan, method=case.method)
    if not result.certified:
        raise SettingError(f"{case.key}: not certified, {result}")
    asked = audit(result, roi=(column, row, lesion.semi_axes[0] * scale), iterations=ITERATIONS)
    (answer,), limits = asked.answers, asked.audit.assumptions
    truth = made.truth.astype(np.float64)
    delta = made.delta if asked.audit.evidence.weights is None else made.whitened_delta
    assert delta is not None
    return Planted(
        key=case.key, family=case.family, method=case.method, contrast=case.contrast, noise=case.noise,
        truth=float((answer.region.functional * truth).sum()), image=answer.contrast,
        lower=answer.certificate.lower, upper=answer.certificate.upper,
        kappa_of_truth=variation(torch.from_numpy(truth)[None, None]) / limits.kappa,
        delta_of_truth=delta / asked.audit.evidence.delta,
        in_box=bool(limits.lo <= truth.min() and truth.max() <= limits.hi),
    )  # fmt: skip


def _radius_mm(made: Simulated) -> float:
    """Of the unit disc of the phantoms, as ``simulate`` places it."""
    assert made.scan.geometry is not None
    assert made.scan.grid is not None
    return phantom_radius_mm(made.scan.geometry, made.scan.grid)


def table(rows: Sequence[Planted]) -> list[str]:
    """Lines of the table: per contrast how many are decided, hold the truth, and how wide the ranges are."""
    from ctrecon.measurement.scan import WATER_MU_PER_MM

    lines = ["contrast  lesions  decided  ranges that hold the truth        truth meets the limits  median width"]
    for contrast in (*CONTRASTS, None):
        some = [row for row in rows if contrast in (None, row.contrast)]
        if not some:
            continue
        held, met = (shares([getattr(row, name) for row in some]) for name in ("holds", "within"))
        width = float(np.median([row.upper - row.lower for row in some])) / WATER_MU_PER_MM
        name = "all" if contrast is None else f"{contrast:g}"
        lines.append(
            f"{name:>8}  {len(some):7d}  {sum(row.decided for row in some):7d}  {held!s:32s}  {met!s:22s}  "
            f"{width:.3g} of water"
        )
    inside = [row for row in rows if row.within]
    wrong = sum(row.decided and not row.holds for row in rows)
    lines.append(
        f"of the {len(inside)} whose truth meets the limits the range holds it in {sum(row.holds for row in inside)}; "
        f"decided although the range misses the truth: {wrong}"
    )
    return lines
