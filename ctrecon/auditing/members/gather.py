"""Several images that explain the data of a certified one to the same delta, each proved by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.members.ground import ground_of
from ctrecon.auditing.members.spread import Spot, deviation_of, range_of, spots
from ctrecon.auditing.members.ways import Asked, ways
from ctrecon.auditing.regions import Ring
from ctrecon.auditing.tiles import default_radius, tile_up
from ctrecon.certificates.feasible import FeasibleCertificate
from ctrecon.errors import SettingError
from ctrecon.support.arrays import Array, Float32Array

COUNT, MOST, DISCS = 6, 40, 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One further image ``[rows, columns]``: by which way, a sentence on how, and its proof where delta is met.

    ``residual`` is the checker's, in the certificate's norm, of the image as it is stored.
    """

    name: str
    how: str
    image: Float32Array
    residual: float
    certificate: FeasibleCertificate | None

    @property
    def certified(self) -> bool:
        """Whether it is proved that the residual is at most delta; others are not counted."""
        return self.certificate is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """The images that were tried, and where those that are proved to meet delta differ, the certified one among them.

    ``range`` and ``deviation`` are ``[rows, columns]``, in the image's unit: per pixel the largest value less the
    smallest, and the standard deviation. ``spots`` are the discs of the largest range of contrast, of ``places``.
    """

    tried: tuple[Member, ...]
    range: Float32Array
    deviation: Float32Array
    radius: float
    places: int
    spots: tuple[Spot, ...]
    seed: int
    seconds: float

    @property
    def counted(self) -> tuple[Member, ...]:
        """Those that are proved to meet delta."""
        return tuple(member for member in self.tried if member.certified)


def gather_members(
    evidence: Evidence,
    *,
    count: int = COUNT,
    seed: int = 0,
    radius: float | None = None,
    ring: Ring | None = None,
    discs: int = DISCS,
    device: str | None = None,
    watch: Callable[[int, str], None] | None = None,
) -> Gathered:
    """Make ``count`` further images by different ways, and see where they differ.

    Args:
        evidence: The certified image with data, operator and delta.
        count: So many are tried, 1 to 40.
        seed: Of what is random.
        radius: Of the discs in pixels; None for a sixteenth of the image's shorter side.
        ring: Their surroundings.
        discs: So many are listed.
        device: Where it is computed; None for a GPU where there is one.
        watch: Hears how many were tried, and by which way the next is made.

    Returns:
        All that were tried, and how far those that meet delta lie apart.

    Raises:
        SettingError: For numbers out of range, or a radius with which no disc fits.
        InputError, OperatorError: For a scan that methods cannot take.
    """
    began = time.monotonic()
    _check(count, seed, discs)
    ring = Ring() if ring is None else ring
    shape = (int(evidence.image.shape[0]), int(evidence.image.shape[1]))
    radius = default_radius(shape) if radius is None else radius
    places = len(tile_up(shape, radius, ring))
    ground = ground_of(evidence, device=device)
    tried: list[Member] = []
    images: list[Array] = [evidence.image]
    for k, way in enumerate(ways(count)):
        if watch is not None:
            watch(k, way.name)
        rng = np.random.default_rng([seed, k])
        image, how = way.make(Asked(ground=ground, images=tuple(images), radius=radius, ring=ring, rng=rng))
        found = ground.certify(image)
        proof = found if isinstance(found, FeasibleCertificate) else None
        tried.append(Member(name=way.name, how=how, image=image, residual=found.residual, certificate=proof))
        if proof is not None:
            images.append(image)
    if watch is not None:
        watch(count, "")
    return Gathered(
        tried=tuple(tried), range=range_of(images), deviation=deviation_of(images), radius=radius, places=places,
        spots=spots(images, radius=radius, ring=ring, most=discs), seed=seed, seconds=time.monotonic() - began,
    )  # fmt: skip


def _check(count: int, seed: int, discs: int) -> None:
    for name, value, least, most in (("count", count, 1, MOST), ("seed", seed, 0, 2**63), ("discs", discs, 1, None)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):
            up_to = "" if most is None else f" and <= {most}"
            raise SettingError(f"{name} must be a whole number >= {least}{up_to}, got {value}")
