"""Which of all causes explains a misfit: each is tried on the data, and ranked by what is left unexplained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ctrecon.diagnosis.causes import CAUSES
from ctrecon.diagnosis.fit import CELLS, SIDE, Fit, fit
from ctrecon.diagnosis.middle_row import MiddleRow
from ctrecon.diagnosis.noise import noise_share
from ctrecon.diagnosis.suggestion import Cause, Suggestion
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
# With less than this share of the misfit left, the rest is another matter; with more than the other, beside noise and
# the little that coarse pixels leave, it is the same matter still. What leaves less than these is no better for it.
_MOSTLY, _PART, _EDGES = 0.25, 0.75, 0.006
# Places: what speaks for itself and explains the data, what explains them, what speaks for itself alone, what can only
# be named, what explains a part, and what is said beside any other finding, for values are off for many reasons.
_CERTAIN, _EXPLAINS, _SPEAKS, _NAMED, _PARTLY, _LAST = range(6)
# Of so many findings that explain a part each is tried together with a second one.
_PAIRED = 3


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
        if self.after >= _BETTER * self.before:
            return f"{self.words}{seen}"
        shares = f"from {self.before:.1%} to {self.after:.1%} of the norm of the data"
        return f"{self.words}{seen}: with that mended, what the best coarse image leaves falls {shares}"

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            All but the scan, in whose place it says whether there is one; plain values for JSON.
        """
        return {
            "cause": self.cause, "words": self.words, "misfit_before": self.before, "misfit_after": self.after,
            "evidence": self.evidence, "mirrored": self.mirrored, "can_be_applied": self.scan is not None,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnosis:
    """What was found, the likeliest first.

    Attributes:
        source: The scan's name.
        fit: That of the scan as it is.
        findings: Empty where no cause explains the data better than the scan as it is; one called ``unexplained`` where
            the misfit is large all the same.
        units: What its lengths are called.
        row: Of a scan in space, the row of the detector that was looked at, as a scan in the plane.
    """

    source: str
    fit: Fit
    findings: tuple[Finding, ...]
    units: Units = MM
    row: int | None = None

    @property
    def mirror_images(self) -> bool:
        """Whether the first two findings are mirror images of one another."""
        return len(self.findings) > 1 and self.findings[0].mirrored and self.findings[1].mirrored

    def __repr__(self) -> str:
        causes = ", ".join(finding.cause for finding in self.findings) or "nothing found"
        return f"<Diagnosis of {self.source!r}: {causes}; misfit {self.fit.share:.2g}>"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """For a person.

        Returns:
            One finding a line, the likeliest first, and what else is to be known of them.
        """
        if not self.findings:
            data = "the data" if self.row is None else f"detector row {self.row}, which alone was looked at"
            return [f"nothing was found: a coarse image explains all but {self.fit.share:.1%} of the norm of {data}"]
        said = [str(finding) for finding in self.findings]
        if self.mirror_images:
            said.append("the first two give mirror images of one another; the data cannot tell which is true")
        if self.row is not None:
            said.append(f"looked at was detector row {self.row}, which lies in the plane of the orbit, and no other")
        return said

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            Source, misfit as a share of the data, findings, and the row that was looked at; plain values for JSON.
        """
        return {
            "source": self.source, "misfit": self.fit.share, "mirror_images": self.mirror_images,
            "findings": [finding.to_dict() for finding in self.findings], "row": self.row,
        }


def diagnose(scan: Scan, *, progress: Report | None = None) -> Diagnosis:
    """Try every cause on a scan.

    Args:
        scan: Any but a matrix. In space the row of the detector that lies in the plane of the orbit is looked at.
        progress: Hears of every cause that is tried.

    Returns:
        What explains the data better, the likeliest first.

    Raises:
        InputError: For a scan that is a matrix alone or whose data are zero.
        GeometryError: For a geometry in space without such a row.
    """
    if scan.sinogram.ndim == 2:
        return _in_the_plane(scan, progress)
    middle = MiddleRow.of(scan)
    found = _in_the_plane(middle.scan, progress)
    findings = tuple(
        dataclasses.replace(one, scan=None if one.scan is None else middle.mended(one.scan)) for one in found.findings
    )
    return dataclasses.replace(found, findings=findings, row=middle.row)


def _in_the_plane(scan: Scan, progress: Report | None) -> Diagnosis:
    looked = _Looked(scan)
    found: list[_Judged] = []
    for number, cause in enumerate(CAUSES):
        if progress is not None:
            progress(Progress(stage="diagnosis", unit="cause", done=number + 1, total=len(CAUSES)))
        found += _judged(cause, looked)
    ordered = _ordered(found)
    findings = tuple(one.finding for one in ordered)
    if not ordered or ordered[0].place >= _NAMED:
        both = _together([one for one in ordered if one.place == _PARTLY][:_PAIRED])
        said = bool(ordered) and ordered[0].place == _NAMED
        findings = (*(both or (() if said else _unexplained(looked))), *findings)
    return Diagnosis(source=scan.source, fit=looked.coarse, findings=findings, units=scan.units)


def _together(partly: list[_Judged]) -> tuple[Finding, ...]:
    """Two slips at once: the first of ``partly`` that explains the data with one more, tried on what it mends."""
    for one in partly:
        if one.finding.scan is None:
            continue
        looked = _Looked(one.finding.scan)
        others = [judged for cause in CAUSES for judged in _judged(cause, looked)]
        # The same once more is no second slip.
        second = _ordered([judged for judged in others if judged.finding.cause != one.finding.cause])
        if second and second[0].place < _SPEAKS:
            first, then = one.finding, second[0].finding
            return (
                dataclasses.replace(
                    then, cause=f"{first.cause}+{then.cause}", words=f"{first.words}, and {then.words}",
                    before=first.before, mirrored=False,
                ),
            )  # fmt: skip
    return ()


def _unexplained(looked: _Looked) -> tuple[Finding, ...]:
    """What is said where no slip is found and the misfit is more than noise, edges and usual errors leave."""
    if looked.explained:
        return ()
    share = looked.coarse.share
    return (
        Finding(
            cause="unexplained",
            words=f"the best coarse image leaves {share:.1%} of the norm of the data, and no slip that is known "
            "explains it",
            before=share, after=share, evidence="", mirrored=False, scan=None,
        ),
    )  # fmt: skip


class _Looked:
    """The fits of the scan as it is, each made when it is first asked for."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.coarse = fit(scan)
        self._fits: dict[tuple[bool, bool], Fit] = {(False, False): self.coarse}

    @property
    def explained(self) -> bool:
        """Whether an image leaves no more of the data than noise, edges and usual errors do."""
        return self.coarse.share <= self._usual(self.scan)

    def explained_by(self, finding: Finding) -> bool:
        """The same with a finding mended, or so much less than without that the rest is another matter."""
        if finding.scan is None:
            return False
        if finding.after <= _MOSTLY * finding.before:
            return True
        # What is wrong beyond noise and edges is not explained by what leaves most of it, however little that is.
        clean = _NOISE_TIMES * noise_share(finding.scan, self.coarse.block) + _EDGES
        return finding.after <= self._usual(finding.scan) and finding.after <= max(_PART * finding.before, clean)

    def _usual(self, scan: Scan) -> float:
        return _NOISE_TIMES * noise_share(scan, self.coarse.block) + _USUAL

    def rival_of(self, suggestion: Suggestion) -> Fit:
        """What ``suggestion`` is compared with: as fine as it, and, unless it widens the square, on the same square."""
        mended = suggestion.scan
        freed = mended is not None and mended.grid is None and self.scan.grid is not None and not suggestion.widens
        key = (suggestion.fine, freed)
        if key not in self._fits:
            scan = dataclasses.replace(self.scan, grid=None, image_shape=None) if freed else self.scan
            self._fits[key] = _fit(scan, suggestion.fine)
        return self._fits[key]


def _fit(scan: Scan, fine: bool, *, like: Fit | None = None, rival: Fit | None = None) -> Fit:
    side, cells = (256, 4096) if fine else (SIDE, CELLS)
    return fit(scan, side=side, cells=cells, like=like, rival=rival)


def _judged(cause: Cause, looked: _Looked) -> list[_Judged]:
    """What of a cause explains the data better, or speaks for itself and does not explain them worse."""
    judged = []
    for number, suggestion in enumerate(cause(looked.scan)):
        finding = _finding(suggestion, looked)
        if finding is not None:
            place = _place(suggestion, finding, looked)
            judged.append(_Judged(finding=finding, number=(CAUSES.index(cause), number), place=place))
    return judged


def _place(suggestion: Suggestion, finding: Finding, looked: _Looked) -> int:
    if suggestion.last:
        return _LAST
    explains = looked.explained_by(finding)
    if suggestion.certain:
        return _CERTAIN if explains or finding.scan is None else _SPEAKS
    if finding.scan is None:
        return _NAMED
    return _EXPLAINS if explains else _PARTLY


def _finding(suggestion: Suggestion, looked: _Looked) -> Finding | None:
    if suggestion.scan is None and not suggestion.evidence:
        return None  # a change that this geometry cannot have
    rival = looked.rival_of(suggestion)
    before = after = rival.share
    if suggestion.scan is not None:
        try:
            # What speaks for itself may be behind, but not far; anything else has to be ahead.
            ahead = None if suggestion.certain else rival
            after = _fit(suggestion.scan, suggestion.fine, like=rival, rival=ahead).share
        except CtreconError:
            return None
    most = _NOT_WORSE if suggestion.certain else _BETTER
    if suggestion.scan is not None and (after > most * before or (before < _EDGES and not suggestion.certain)):
        return None
    return Finding(
        cause=suggestion.cause, words=suggestion.words, before=before, after=after, evidence=suggestion.evidence,
        mirrored=suggestion.mirrored, scan=suggestion.scan,
    )  # fmt: skip


def _ordered(found: list[_Judged]) -> list[_Judged]:
    """What speaks for itself first, then by what is left of the misfit; among equals the simplest slip first.

    A cause that was found in two ways is named once.
    """
    ordered: list[_Judged] = []
    left = sorted(found, key=lambda one: (one.place, one.finding.after / one.finding.before))
    while left:
        best = left[0]
        most = best.finding.after / best.finding.before * _EQUAL
        equals = [one for one in left if one.place == best.place and one.finding.after <= most * one.finding.before]
        left = [one for one in left if one not in equals]
        ordered += sorted(equals, key=lambda one: one.number)
    once: dict[str, _Judged] = {}
    for one in ordered:
        once.setdefault(one.finding.cause, one)
    return list(once.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """A finding with the numbers of its cause and of the suggestion, and its place among all."""

    finding: Finding
    number: tuple[int, int]
    place: int
