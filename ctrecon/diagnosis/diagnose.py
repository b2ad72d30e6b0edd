"""Which of all causes explains a misfit: each is tried on the data, and ranked by what is left unexplained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ctrecon.diagnosis.causes import CAUSES
from ctrecon.diagnosis.fit import Fit, fit
from ctrecon.diagnosis.noise import noise_share
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.units import MM, Units
from ctrecon.support.progress import Progress, Report

# A cause is named if it leaves less than this of the misfit, and equals differ by less than that.
_BETTER, _EQUAL = 0.88, 1.04
# Beyond so many times the noise and this share of the data a misfit needs a reason.
_NOISE_TIMES, _USUAL = 1.2, 0.02
# What speaks for itself need not fit better, only not much worse: its noise is another one.
_NOT_WORSE = 1.5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One cause that explains the data better than the scan as it is.

    Attributes:
        cause: Its name.
        words: What is so, if it is the true one.
        before: The share of the data that no coarse image explained.
        after: The same with the cause mended.
        evidence: What was seen in the data themselves.
        mirrored: Whether another finding is its mirror image: the data cannot tell the two apart.
        scan: Mended; None where it can only be named.
    """

    cause: str
    words: str
    before: float
    after: float
    evidence: str
    mirrored: bool
    scan: Scan | None

    def __str__(self) -> str:
        seen = f" ({self.evidence})" if self.evidence else ""
        if self.scan is None or self.after >= _BETTER * self.before:
            return f"{self.words}{seen}"
        shares = f"from {self.before:.1%} to {self.after:.1%} of the data"
        return f"{self.words}{seen}: with that mended, what no image explains falls {shares}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "cause": self.cause, "words": self.words, "misfit_before": self.before, "misfit_after": self.after,
            "evidence": self.evidence, "mirrored": self.mirrored, "can_be_applied": self.scan is not None,
        }


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found, the likeliest first.

    Attributes:
        source: The scan's name.
        fit: That of the scan as it is.
        findings: Empty where no cause explains the data better than the scan as it is; one called ``unexplained`` where
            the misfit is large all the same.
        units: What its lengths are called.
    """

    source: str
    fit: Fit
    findings: tuple[Finding, ...]
    units: Units = MM

    @property
    def mirror_images(self) -> bool:
        """Whether the first two findings are mirror images of one another."""
        return len(self.findings) > 1 and self.findings[0].mirrored and self.findings[1].mirrored

    def lines(self) -> list[str]:
        """For a person, one finding a line."""
        if not self.findings:
            return [f"nothing was found: a coarse image explains all but {self.fit.share:.1%} of the data"]
        said = [str(finding) for finding in self.findings]
        if self.mirror_images:
            said.append("the first two give mirror images of one another; the data cannot tell which is true")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "source": self.source, "misfit": self.fit.share, "mirror_images": self.mirror_images,
            "findings": [finding.to_dict() for finding in self.findings],
        }


def diagnose(scan: Scan, *, progress: Report | None = None) -> Diagnosis:
    """Try every cause on a scan.

    Args:
        scan: With a geometry in the plane.
        progress: Hears of every cause that is tried.

    Returns:
        What explains the data better, the likeliest first.

    Raises:
        InputError: For a scan that is a matrix alone or whose data are zero.
        GeometryError: For a geometry in space.
    """
    looked = _Looked(scan)
    found: list[_Judged] = []
    for number, cause in enumerate(CAUSES):
        if progress is not None:
            progress(Progress(stage="diagnosis", unit="cause", done=number + 1, total=len(CAUSES)))
        for suggestion in cause(scan):
            finding = _judged(suggestion, looked)
            if finding is not None:
                place = 2 if suggestion.last else 0 if suggestion.certain else 1
                found.append(_Judged(finding=finding, number=len(found), place=place))
    findings = _ordered(found) or _unexplained(scan, looked.coarse)
    return Diagnosis(source=scan.source, fit=looked.coarse, findings=findings, units=scan.units)


def _unexplained(scan: Scan, coarse: Fit) -> tuple[Finding, ...]:
    """What is said where no slip is found and the misfit is more than noise, edges and usual errors leave."""
    if coarse.share <= _NOISE_TIMES * noise_share(scan, coarse.block) + _USUAL:
        return ()
    words = f"no image explains {coarse.share:.1%} of the data, and no slip that is known does"
    return (
        Finding(
            cause="unexplained", words=words, before=coarse.share, after=coarse.share, evidence="", mirrored=False,
            scan=None,
        ),
    )  # fmt: skip


class _Looked:
    """The fits of the scan as it is, each made when it is first asked for."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self.coarse = fit(scan)
        self._shares: dict[tuple[bool, bool], float] = {(False, False): self.coarse.share}

    def share(self, suggestion: Suggestion) -> float:
        """What ``suggestion`` is compared with: as fine as it, and, unless it widens the square, on the same square."""
        mended = suggestion.scan
        freed = mended is not None and mended.grid is None and self._scan.grid is not None and not suggestion.widens
        key = (suggestion.fine, freed)
        if key not in self._shares:
            scan = dataclasses.replace(self._scan, grid=None, image_shape=None) if freed else self._scan
            self._shares[key] = _fit(scan, suggestion.fine)
        return self._shares[key]


def _fit(scan: Scan, fine: bool) -> float:
    return (fit(scan, side=256, cells=4096) if fine else fit(scan)).share


def _judged(suggestion: Suggestion, looked: _Looked) -> Finding | None:
    """The finding, if the suggestion explains the data better, or speaks for itself and does not explain them worse."""
    before = after = looked.share(suggestion)
    if suggestion.scan is not None:
        try:
            after = _fit(suggestion.scan, suggestion.fine)
        except CtreconError:
            return None
    most = _NOT_WORSE if suggestion.certain else _BETTER
    if suggestion.scan is not None and after > most * before:
        return None
    return Finding(
        cause=suggestion.cause, words=suggestion.words, before=before, after=after, evidence=suggestion.evidence,
        mirrored=suggestion.mirrored, scan=suggestion.scan,
    )  # fmt: skip


def _ordered(found: list[_Judged]) -> tuple[Finding, ...]:
    """What speaks for itself first, then by what is left of the misfit; among equals the simplest slip first.

    A cause that was found in two ways is named once.
    """
    ordered: list[Finding] = []
    left = sorted(found, key=lambda one: (one.place, one.finding.after / one.finding.before))
    while left:
        best = left[0]
        most = best.finding.after / best.finding.before * _EQUAL
        equals = [one for one in left if one.place == best.place and one.finding.after <= most * one.finding.before]
        left = [one for one in left if one not in equals]
        ordered += [one.finding for one in sorted(equals, key=lambda one: one.number)]
    return tuple({finding.cause: finding for finding in reversed(ordered)}.values())[::-1]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """A finding with its number among all; ``place`` is 0 before those that only the fit finds, 2 after them."""

    finding: Finding
    number: int
    place: int
