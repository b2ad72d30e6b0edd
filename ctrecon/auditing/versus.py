"""Two images of one scan: where they differ, do the data decide between them?

For each disc: the proved range of its contrast over ALL images within delta, kappa and the box. An image whose own
contrast lies outside of it is wrong there, if the object is within these limits. One whose contrast lies inside is not
shown to be right: two images that are both within the limits differ by what the data leave open.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ctrecon.auditing.audit import Audit
from ctrecon.auditing.primal_dual import smallest
from ctrecon.auditing.regions import Region, Ring
from ctrecon.auditing.tiles import default_radius, tile_up
from ctrecon.certificates.interval import Dual, Empty, IntervalCertificate, certify_interval, excludes
from ctrecon.certificates.worth import worth_of
from ctrecon.support.arrays import Array

TOGETHER = 8
"""Discs at a time; each has two ends."""
CLEAR = 1e-3
"""Of the difference of the contrasts: a bound beyond an image's by as much is not undone by float32."""


@dataclass(frozen=True, kw_only=True)
class Disputed:
    """One disc in which the images differ: their contrasts, and what is proved of it for every image of the set.

    ``wrong`` are the images that this excludes, "A", "B" or both. ``open``: whether images of the set were found, by
    the solver alone, that show as little and as much as A and B; then the data do not decide. Where neither holds, more
    iterations may. ``nothing``: why the range says nothing of the data, if so: what it excludes, they do not.
    """

    region: Region
    column: float
    row: float
    contrasts: tuple[float, float]
    certificate: IntervalCertificate
    open: bool

    @cached_property
    def nothing(self) -> tuple[str, ...]:
        return worth_of(self.certificate).nothing

    @property
    def decided(self) -> bool:
        """Whether the data show one of the images to be wrong here, or both."""
        return bool(self.wrong) and not self.nothing

    @property
    def wrong(self) -> tuple[str, ...]:
        made = self.certificate
        pairs = zip("AB", self.contrasts, strict=True)
        return tuple(name for name, value in pairs if excludes(made.lower, made.upper, value))

    @property
    def verdict(self) -> str:
        who = f"{self.wrong[0]} is" if len(self.wrong) == 1 else "both are"
        if self.nothing:
            why = f"the range says nothing of the data: {'; '.join(self.nothing)}"
            return f"{who} outside of the limits, whatever the data: {why}" if self.wrong else f"not decided: {why}"
        if not self.wrong:
            return "the data do not decide" if self.open else "not decided; more --iterations may decide it"
        return f"the data decide: {who} wrong here, if the object is within the limits"


@dataclass(frozen=True, kw_only=True, eq=False)
class Versus:
    """All discs that were asked about, those of the largest difference first, of ``places`` in the image."""

    audit: Audit
    radius: float
    places: int
    disputed: tuple[Disputed, ...]
    seconds: float


def versus(
    audit: Audit,
    other: tuple[Array, Array],
    *,
    names: tuple[str, str] = ("A", "B"),
    radius: float | None = None,
    ring: Ring | None = None,
    most: int = 8,
    most_iterations: int = 1500,
    watch: Callable[[int, int], None] | None = None,
) -> Versus | Empty:
    """Ask about the ``most`` discs in which images ``A`` and ``B`` (``other [rows, columns]``) differ most.

    Args:
        audit: What is assumed, and the certified image that the set is of.
        other: A and B; one of them may be the audit's own.
        names: Of A and B, for the certificates.
        radius: Of the discs in pixels; None for a sixteenth of the image.
        ring: Their surroundings.
        most: So many discs at most: the time is bounded by these and ``most_iterations`` for each.
        most_iterations: Of the solver.
        watch: Gets the discs done and their number.

    Returns:
        What was found, or the proof that no image is within the limits.

    Raises:
        SettingError: For a radius with which no disc fits the image.
    """
    began, shape = time.monotonic(), (int(audit.evidence.image.shape[0]), int(audit.evidence.image.shape[1]))
    ring = Ring() if ring is None else ring
    radius = default_radius(shape) if radius is None else radius
    places = tile_up(shape, radius, ring)
    asked = []
    for column, row, region in places:
        a, b = (float((region.functional * image).sum()) for image in other)
        if a != b:
            asked.append((abs(a - b), column, row, region, (a, b)))
    asked = sorted(asked, key=lambda one: -one[0])[:most]
    found: list[Disputed] = []
    for first in range(0, len(asked), TOGETHER):
        some = [one[1:] for one in asked[first : first + TOGETHER]]
        done = _ranges(audit, some, names, most_iterations)
        if isinstance(done, Empty):
            return done
        found += done
        if watch is not None:
            watch(len(found), len(asked))
    return Versus(
        audit=audit, radius=radius, places=len(places), disputed=tuple(found), seconds=time.monotonic() - began
    )


def _ranges(
    audit: Audit, some: list[tuple[float, float, Region, tuple[float, float]]], names: tuple[str, str],
    most_iterations: int,
) -> list[Disputed] | Empty:
    c = torch.from_numpy(np.stack([sign * region.functional for _, _, region, _ in some for sign in (1, -1)]))
    low = [end for *_, (a, b) in some for end in (min(a, b), -max(a, b))]  # what an end has to pass to exclude one
    target = torch.tensor(low, dtype=torch.float64)
    gap = torch.tensor([abs(a - b) for *_, (a, b) in some for _ in (0, 1)], dtype=torch.float64)

    def finished(bound: Tensor, least: Tensor) -> Tensor:
        return (bound > target + CLEAR * gap) | (least <= target)

    ends = smallest(
        audit.images, c[:, None].to(audit.images.data), finished=finished, inside=audit.inside, start=audit.start,
        most_iterations=most_iterations,
    )
    found = []
    for k, (column, row, region, contrasts) in enumerate(some):
        lower, upper = (
            Dual(y=ends.y[i, 0].double().numpy(), p=ends.p[i].double().numpy()) for i in (2 * k, 2 * k + 1)
        )
        said = " and ".join(f"{name} shows {value:.4g}" for name, value in zip(names, contrasts, strict=True))
        made = certify_interval(
            audit.stated, audit.evidence.values["norm"], audit.evidence.delta, audit.assumptions.kappa,
            region.functional, lower, upper, region=f"{region.name}; {said}", member=audit.member,
            entries=audit.evidence.entries, source=audit.evidence.path,
        )  # fmt: skip
        if isinstance(made, Empty):
            return made
        reached = bool((ends.found[2 * k : 2 * k + 2] <= target[2 * k : 2 * k + 2].to(ends.found)).all())
        found.append(Disputed(
            region=region, column=column, row=row, contrasts=contrasts, certificate=made, open=reached
        ))  # fmt: skip
    return found
