"""How often the true image meets delta: ``||A u* - f|| <= delta``, with all that keeps ``u*`` from explaining the data.

``u*`` holds the means of an object over the pixels, ``f`` its exact line integrals with noise, and perhaps with a fault
of the scanner that delta knows nothing of. Objects, beams, sizes and views change from scan to scan, the same for every
noise. Nothing is reconstructed; what an estimated delta costs an image is the subject of ``losses.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from ctrecon.corrections.dead import dead
from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.delta import Delta, delta_for
from ctrecon.measurement.scan import Scan
from ctrecon.operators.joseph import JosephOperator
from ctrecon.phantoms import FAMILIES, Phantom
from ctrecon.simulation.simulate import phantom_radius_mm, standard_scanner
from ctrecon.studies.paper.coverage import Measure, counted, gaussian, hit, shared
from ctrecon.support.arrays import Float64Array
from ctrecon.support.statistics import share_of_groups

Fault = Callable[[Float64Array, np.random.Generator], Float64Array]
Correct = Callable[[Scan], Scan]

NOISES: tuple[tuple[str, Measure], ...] = (
    *((f"Gaussian, {share:.1%}", gaussian(share)) for share in (0.002, 0.005, 0.01, 0.02, 0.05)),
    *((f"counts, {photons:,.0f} photons", counted(photons)) for photons in (1e3, 1e4, 1e5, 1e6)),
    *((f"counts, 1,000 photons, electronic noise of {sigma:.0f}", counted(1e3, sigma)) for sigma in (10.0, 20.0)),
)


HARDER: tuple[tuple[str, Measure], ...] = (
    *((f"Gaussian, {share:.1%}", gaussian(share)) for share in (0.002, 0.01, 0.05)),
    *((f"Gaussian, {share:.1%}, shared by neighbours", shared(share)) for share in (0.005, 0.01, 0.03)),
    *((f"counts, {photons:,.0f} photons", counted(photons)) for photons in (3e2, 1e2)),
    *(
        (f"counts, {photons:,.0f} photons, electronic noise of {sigma:.0f}", counted(photons, sigma))
        for photons, sigma in ((1e3, 10.0), (1e3, 20.0), (3e2, 10.0), (3e2, 20.0), (1e2, 20.0))
    ),
    *((f"Gaussian, 1.0%, zingers in {share:.1%}", hit(gaussian(0.01), share)) for share in (0.001, 0.01)),
)  # fmt: skip
"""Noise that neighbours share, few counts, and zingers, with the correction for them."""


def _gains(f: Float64Array, rng: np.random.Generator) -> Float64Array:
    return np.asarray(f - np.log1p(0.005 * rng.standard_normal(f.shape[1])))


def _flicker(f: Float64Array, rng: np.random.Generator) -> Float64Array:
    return np.asarray(f - np.log1p(0.005 * rng.standard_normal((f.shape[0], 1))))


def _hardening(f: Float64Array, rng: np.random.Generator) -> Float64Array:
    return f - 0.01 * f**2


def _scatter(f: Float64Array, rng: np.random.Generator) -> Float64Array:
    return np.asarray(-np.log((np.exp(-f) + 0.005) / 1.005))


def _dead(f: Float64Array, rng: np.random.Generator) -> Float64Array:
    dead = rng.choice(f.shape[1], max(1, f.shape[1] // 100), replace=False)
    blind = f.copy()
    blind[:, dead] = 700.0  # no photon comes through
    return blind


def _as_it_is(scan: Scan) -> Scan:
    return scan


FAULTS: tuple[tuple[str, Fault, Correct], ...] = (
    ("gains of the cells wrong by 0.5%", _gains, _as_it_is),
    ("a beam that flickers by 0.5%", _flicker, _as_it_is),
    ("beam hardening, 1% at f = 1", _hardening, _as_it_is),
    ("scatter, 0.5% of the open beam", _scatter, _as_it_is),
    ("one cell in a hundred dead", _dead, _as_it_is),
    ("one cell in a hundred dead, corrected", _dead, dead),
)
"""What a scanner does that delta knows nothing of, and what ``--correct`` does about it, if anything."""

FINELY = 16
"""A cell's line integral is the mean of so many rays, a pixel's the mean over so many points a side.

Of 4, the phantoms' default, the pixels' error of the true image is 6% too large, of objects of the size of a pixel up
to 28%; of 16 both are within 1% of what 64 give (2% for objects of the size of a pixel).
"""

BEAMS = ("fan", "parallel")
FAULTS_AT = ("Gaussian, 0.5%", "counts, 100,000 photons")


@dataclass(frozen=True, kw_only=True)
class Object:
    """A clean scan, its true image ``[rows, columns]``, the projection of that, and what it is."""

    clean: Scan
    truth: Float64Array
    projected: Float64Array
    family: str
    scanner: str
    size: int
    views: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One scan: the true image's residual and delta, in delta's norm. ``seed``: the same for all of one object."""

    seed: int
    noise: str
    fault: str
    family: str
    scanner: str
    size: int
    views: int
    residual: float
    delta: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Share:
    """``within`` of ``scans`` met delta; ``low`` to ``high`` is the 95% interval, with scans of one object taken
    together (``share_of_groups``).
    """

    of: str
    scans: int
    within: float
    low: float
    high: float
    median_ratio: float
    largest_ratio: float


def objects(
    count: int, *, sizes: Sequence[int], views: Sequence[int], seed: int, thickest: float = 3.0
) -> Iterator[Object]:
    """Phantoms of all families in turn, beams and sizes and numbers of views changing with them.

    Args:
        count: How many.
        sizes: Pixels and cells to a side.
        views: Numbers of views.
        seed: Of the phantoms.
        thickest: The largest line integral.

    Yields:
        Each with its clean scan.

    Raises:
        SettingError: For no scans, sizes or views.
    """
    if count < 1 or not sizes or not views:
        raise SettingError(f"give at least one scan, size and number of views, got {count}, {sizes} and {views}")
    for k in range(count):
        yield object_at(k, sizes=sizes, views=views, seed=seed, thickest=thickest)


def object_at(k: int, *, sizes: Sequence[int], views: Sequence[int], seed: int, thickest: float = 3.0) -> Object:
    """The ``k``-th of ``objects``."""
    # Of each family in turn: after as many turns as there are beams, sizes and numbers of views together it has met
    # all of them with each other once.
    turn, of = divmod(k, len(FAMILIES))
    more, step = divmod(turn, len(sizes))
    size, number = sizes[(of + step) % len(sizes)], views[(of // 2 + step + more) % len(views)]
    beam = BEAMS[(of + step // 2 + more % len(views) + more // len(views)) % len(BEAMS)]
    family = FAMILIES[of]
    geometry, grid = standard_scanner(beam, size, number)
    radius = phantom_radius_mm(geometry, grid)
    phantom = family.sample(np.random.default_rng(seed + k)).scaled(radius, 0.02)
    return placed(phantom, geometry, grid, thickest, family=family.name, scanner=beam)


def placed(
    phantom: Phantom, geometry: Geometry, grid: Grid, thickest: float, *, family: str, scanner: str
) -> Object:
    """The phantom in a scanner, as bright as makes its largest line integral ``thickest``."""
    sinogram = phantom.sinogram(geometry, oversample=FINELY).astype(np.float64)
    gain = thickest / float(sinogram.max())
    truth = gain * phantom.image(grid, oversample=FINELY).astype(np.float64)
    projected = JosephOperator(geometry, grid)(torch.from_numpy(truth)[None, None])[0, 0].numpy()
    clean = Scan(sinogram=gain * sinogram, geometry=geometry, grid=grid, source="a simulated scan")
    return Object(
        clean=clean, truth=truth, projected=projected, family=family, scanner=scanner, size=grid.rows,
        views=geometry.shape[0],
    )


def measure_all(
    one: Object, seed: int, *, noises: Sequence[tuple[str, Measure]] = (), quantile: float = 0.95,
    model_error: str = "auto", faults: bool = True,
) -> Iterator[Measured]:
    """Every noise, and every fault at the noises ``FAULTS_AT``, of one object.

    Args:
        one: The object.
        seed: Of noise and faults.
        noises: Those that are tried, ``NOISES`` where none are named.
        quantile: Of delta.
        model_error: As for ``delta_for``.
        faults: Whether faults are tried at all.

    Yields:
        Each scan's residual and delta.
    """
    for noise, measure in noises or NOISES:
        sound: tuple[tuple[str, Fault | None, Correct], ...] = (("none", None, _as_it_is),)
        for fault, spoil, correct in (*sound, *(FAULTS if faults and noise in FAULTS_AT else ())):
            clean = one.clean
            if spoil is not None:
                clean = replace(clean, sinogram=spoil(clean.sinogram, np.random.default_rng(seed)))
            scan = correct(measure(clean, seed))
            delta = delta_for(scan, "auto", quantile, model_error=model_error)
            yield Measured(
                seed=seed, noise=noise, fault=fault, family=one.family, scanner=one.scanner, size=one.size,
                views=one.views, residual=true_residual(one, scan, delta), delta=delta.value,
            )


def true_residual(one: Object, scan: Scan, delta: Delta) -> float:
    """What the true image leaves of the ``scan`` of its object, in delta's norm."""
    left = one.projected - scan.sinogram
    if scan.mask is not None:
        left = np.where(scan.mask, left, 0)
    if delta.norm == "whitened" and scan.variance is not None:
        left = left / np.sqrt(scan.variance)
    return float(np.linalg.norm(left))


def shares(found: Sequence[Measured]) -> Iterator[Share]:
    """The shares of all, by noise, by family, by size and by views without faults, and by fault."""
    sound = [one for one in found if one.fault == "none"]
    yield _share("all", sound)
    keys: tuple[tuple[str, Callable[[Measured], Any]], ...] = (
        ("{}", lambda one: one.noise), ("{}", lambda one: one.family), ("{}", lambda one: one.scanner),
        ("{} pixels", lambda one: one.size),
        ("{} views", lambda one: one.views),
    )  # fmt: skip
    for form, key in keys:
        for value in dict.fromkeys(map(key, sound)):
            yield _share(form.format(value), [one for one in sound if key(one) == value])
    for fault, noise in dict.fromkeys((one.fault, one.noise) for one in found if one.fault != "none"):
        yield _share(f"{fault}; {noise}", [one for one in found if (one.fault, one.noise) == (fault, noise)])


def _share(of: str, some: Sequence[Measured]) -> Share:
    met = share_of_groups([one.residual <= one.delta for one in some], [one.seed for one in some])
    ratios = [one.delta / one.residual for one in some]
    return Share(
        of=of, scans=met.count, within=met.hits / met.count, low=met.low, high=met.high,
        median_ratio=float(np.median(ratios)), largest_ratio=max(ratios),
    )
