"""Is it in the data? The certified range of a region's contrast over all images that explain a scan."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ctrecon.auditing.assumptions import Assumptions
from ctrecon.auditing.curve import MOST_ITERATIONS, Curve, trace
from ctrecon.auditing.evidence import Evidence, single
from ctrecon.auditing.image_set import ImageSet, variation
from ctrecon.auditing.primal_dual import smallest
from ctrecon.auditing.regions import Region
from ctrecon.certificates import verify
from ctrecon.certificates.interval import Dual, Empty, IntervalCertificate, certify_interval, excludes, is_member
from ctrecon.certificates.worth import Worth, worth_of
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_files
from ctrecon.support.rounded import at_most

GAP = 0.01
"""Of the certified range: how much of it at most no image was found for."""

Watch = Callable[[int, float, float], None]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is certain of one region. ``contrast`` is the reconstruction's own; all in the image's unit.

    ``found`` are the smallest and largest contrast of images in the set, None where no such image was found:
    the true range lies between ``found`` and the certificate's. ``converged`` says that these are within 1%.
    ``curve`` is the range for other kappa.
    """

    region: Region
    contrast: float
    certificate: IntervalCertificate
    curve: Curve
    found: tuple[float, float] | None
    converged: bool
    iterations: int
    seconds: float

    @cached_property
    def worth(self) -> Worth:
        """What the certified range is worth (``certificates/worth.py``)."""
        return worth_of(self.certificate)

    @property
    def decided(self) -> bool:
        return self.certificate.lower > 0 or self.certificate.upper < 0

    @property
    def verdict(self) -> str:
        """That the data do not decide is said only where images were found that show either sign."""
        if self.decided:
            return "in the data"
        both = self.found is not None and self.found[0] <= 0 <= self.found[1]
        return "the data do not decide" if both else "not decided"

    @property
    def contradicts(self) -> bool:
        """Whether the reconstruction shows what no image of the set does: it is wrong there, if the object is in it."""
        return excludes(self.certificate.lower, self.certificate.upper, self.contrast)

    @property
    def certain_up_to(self) -> float:
        """The largest kappa up to which the sign of the contrast is proved, also where it is below the audit's own."""
        return self.curve.certain_up_to


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """One reconstruction under one set of assumptions; ask it about regions. ``called``: the image, in words."""

    evidence: Evidence
    assumptions: Assumptions
    called: str = "this image"

    @cached_property
    def images(self) -> ImageSet:
        a = self.assumptions
        return self.evidence.image_set(kappa=a.kappa, lo=a.lo, hi=a.hi)

    @cached_property
    def stated(self) -> verify.Problem:
        return self.evidence.stated(self.assumptions.lo, self.assumptions.hi)

    @cached_property
    def inside(self) -> Tensor | None:
        """An image in the interior of the set, where one is easily found."""
        a = self.assumptions
        easy = [self.evidence.smoothest.clamp(a.lo, a.hi), single(self.evidence.image)]
        found = next((u for u in easy if self.images.contains(u, margin=5e-4)), None)
        return self.images.interior() if found is None else found

    @cached_property
    def member(self) -> Array | None:
        """An image that is proved, in float64, to be in the set; None where neither easy one is."""
        a, evidence = self.assumptions, self.evidence
        found = [] if self.inside is None else [self.inside[0, 0].numpy()]
        for image in (*found, evidence.image):
            inside: Array = np.clip(image.astype(np.float64), a.lo, a.hi)  # float32 has no 0.1
            if is_member(self.stated, evidence.values["norm"], evidence.delta, a.kappa, inside):
                return inside
        return None

    @cached_property
    def own_roughness(self) -> float:
        """TV of the reconstruction."""
        return variation(single(self.evidence.image))

    @cached_property
    def least_roughness(self) -> float:
        """TV of the smoothest image that explains the scan."""
        return variation(self.evidence.smoothest)

    @property
    def own_excess(self) -> tuple[str, ...]:
        """Why the reconstruction is none of the images that are asked about; empty where it may be one."""
        a, image, unit = self.assumptions, self.evidence.image, self.evidence.units.after
        low, high, room = float(image.min()), float(image.max()), 1e-6 * (a.hi - a.lo)  # float32 has no 0.1
        found = [f"its TV is {self.own_roughness:.4g}{unit}"] if self.own_roughness > a.kappa * (1 + 1e-6) else []
        if low < a.lo - room or high > a.hi + room:
            found.append(f"it has values from {low:.4g} to {high:.4g}{unit}")
        return tuple(found)

    @property
    def condition(self) -> str:
        """What a verdict depends on."""
        kappa, unit = self.assumptions.kappa, self.evidence.units.after
        times = ", ".join(
            f"{kappa / tv:.3g} times {whose}" for tv, whose in (
                (self.own_roughness, self.called), (self.least_roughness, "the smoothest found that meets delta")
            ) if tv > 0
        )
        return f"if the object is no rougher than TV = {at_most(kappa)}{unit} ({times}), within delta and these values"

    def certainty(self, answer: Answer) -> str:
        """The largest kappa at which the sign is still certain, beside the roughness of the images at hand.

        Args:
            answer: To one of this audit's questions.

        Returns:
            Words, with kappa as a TV in the image's unit.
        """
        kappa, unit = answer.certain_up_to, self.evidence.units.after
        if kappa < self.least_roughness:
            return "no sign is proved for any kappa that an image found for this scan has"
        if math.isinf(kappa):
            return "the sign is certain for every kappa"
        own = f", {kappa / self.own_roughness:.3g} times {self.called}" if self.own_roughness > 0 else ""
        return (
            f"the sign is certain up to TV = {at_most(kappa)}{unit}{own}, {kappa / self.least_roughness:.3g} times the "
            "smoothest"
        )

    @property
    def start(self) -> Tensor:
        return single(self.evidence.image) if self.inside is None else self.inside

    def contrast(self, region: Region) -> float:
        """What the reconstruction itself shows of a region.

        Args:
            region: Of the image's shape.

        Returns:
            The mean over the region less that over its surroundings, in the image's unit.
        """
        return float((region.functional * self.evidence.image).sum())

    def ask(self, region: Region, *, most_iterations: int = 6000, watch: Watch | None = None) -> Answer | Empty:
        """The certified range of a region's contrast over all images of the set, or the proof that there is none.

        Args:
            region: What is measured: a mean inside less the mean around.
            most_iterations: Of the solver, at most.
            watch: Hears of the iteration and the two ends so far, as the solver computes them.

        Returns:
            The range with its certificate, or ``Empty``.
        """
        began = time.monotonic()
        c = torch.from_numpy(region.functional)[None, None].to(self.images.data)
        ends = smallest(
            self.images,
            torch.cat([c, -c]),
            finished=_narrow,
            inside=self.inside,
            start=self.start,
            most_iterations=most_iterations,
            watch=None if watch is None else lambda k, b, _: watch(k, float(b[0]), -float(b[1])),
        )
        lower, upper = (
            Dual(y=ends.y[i, 0].double().numpy(), p=ends.p[i].double().numpy()) for i in range(2)
        )
        made = certify_interval(
            self.stated, self.evidence.values["norm"], self.evidence.delta, self.assumptions.kappa,
            region.functional, lower, upper, region=region.name, member=self.member,
            entries=self.evidence.entries, source=self.evidence.path,
        )  # fmt: skip
        if isinstance(made, Empty):
            return made
        curve = trace(self, region, (lower, upper), most_iterations=min(most_iterations, MOST_ITERATIONS))
        found = (float(ends.found[0]), -float(ends.found[1]))
        seen = all(map(math.isfinite, found))
        return Answer(
            region=region,
            contrast=self.contrast(region),
            certificate=made,
            curve=curve,
            found=found if seen else None,
            converged=seen and _share_unseen(made.lower, made.upper, *found) <= 1.5 * GAP,
            iterations=int(ends.iterations.max()),
            seconds=time.monotonic() - began,
        )


def _narrow(bound: Tensor, found: Tensor) -> Tensor:
    """Both ends of one range are finished together: no image is in the set, or the gap is 1%."""
    lower, upper = float(bound[0]), -float(bound[1])
    done = lower > upper or _share_unseen(lower, upper, float(found[0]), -float(found[1])) <= GAP
    return torch.full(bound.shape, done)


def _share_unseen(lower: float, upper: float, least: float, most: float) -> float:
    """The share of the range ``lower`` to ``upper`` beyond what images were found for."""
    if not all(map(math.isfinite, (lower, upper, least, most))):
        return math.inf
    return ((least - lower) + (upper - most)) / max(upper - lower, 1e-300)


def write_answers(audit: Audit, answers: Sequence[Answer], *, image: Path | None = None) -> list[Path]:
    """Write the certificates of an audit, all or none; older ones of the same regions are replaced.

    Args:
        audit: That was asked.
        answers: What it said.
        image: Beside which they are to lie; None for the reconstruction.

    Returns:
        The path of each certificate.

    Raises:
        OutputError: Where they cannot be written.
    """
    image = audit.evidence.image_path if image is None else image
    with atomic_files() as place:
        return [
            answer.certificate.put_labelled(place, image, answer.region.label, overwrite=True)[""]
            for answer in answers
        ]
