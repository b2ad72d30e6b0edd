"""``ctrecon.audit``: is a structure of an image in the data, or only in the picture?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrecon.auditing import tiles
from ctrecon.auditing.assumptions import assume
from ctrecon.auditing.audit import Answer, Audit, write_answers
from ctrecon.auditing.evidence import Evidence, read_evidence
from ctrecon.auditing.regions import GAP, Ring
from ctrecon.certificates.interval import Empty, certificate_path
from ctrecon.errors import InputError, SettingError
from ctrecon.outputs.history import History, read_history
from ctrecon.support.arguments import checked
from ctrecon.support.places import check_places
from ctrecon.support.progress import Progress, Report
from ctrecon.workbench import audit_words as words
from ctrecon.workbench.audit_map import map_paths, write_map
from ctrecon.workbench.audit_questions import Disc, Roi, regions_of, roughness
from ctrecon.workbench.result import Reconstruction

ITERATIONS, ITERATIONS_OF_MAP = 6000, 1500


@dataclass(frozen=True, kw_only=True, eq=False)
class Audited:
    """What an audit found. As text, what ``ctrecon audit`` prints; ``to_dict()`` are the same for machines.

    ``answers``: one for each region, with its certified range and verdict. ``map``: the whole image in discs, where it
    was asked for. ``empty``: the proof that no image meets the assumptions, so that there is nothing to ask.
    ``written``: the certificates' paths by the region's label, and those of the map.
    """

    audit: Audit
    answers: tuple[Answer, ...]
    map: tiles.Map | None
    empty: Empty | None
    written: dict[str, Path]

    def __repr__(self) -> str:
        if self.empty is not None:
            return "<Audited: no such image>"
        regions = "1 region" if len(self.answers) == 1 else f"{len(self.answers)} regions"
        return f"<Audited: {regions}{'' if self.map is None else ', a map'}>"

    def __str__(self) -> str:
        lines = list(words.assumed_lines(self.audit))
        for answer in self.answers:
            lines += words.answer_lines(answer, self.written.get(answer.region.label), self.audit)
        if self.empty is not None:
            lines.append(words.empty_line(self.audit, self.empty))
        if self.map is not None:
            lines += words.map_lines(self.map, self.written, self.audit)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            ``status``, what was assumed, one entry of ``regions`` for each answer, ``scan`` for the map and ``error``
            where no image meets the assumptions; plain values for JSON.
        """
        labelled = [(answer, self.written.get(answer.region.label)) for answer in self.answers]
        found = [words.answer_facts(answer, path, self.audit) for answer, path in labelled]
        status = {"status": "answered"} if self.empty is None else {"status": "no such image"}
        told: dict[str, Any] = {**status, **words.assumed_facts(self.audit), "regions": found}
        if self.map is not None:
            told["scan"] = words.map_facts(self.map, self.written)
        return told if self.empty is None else {**told, "error": words.empty_line(self.audit, self.empty)}


@checked
def audit(
    subject: Reconstruction | str | os.PathLike[str],
    *,
    roi: Roi | Sequence[Roi] = (),
    roi_mm: Disc | str | Sequence[Disc | str] = (),
    kappa: float | str | None = None,
    lo: float = 0.0,
    hi: float | None = None,
    gap: float = GAP,
    ring: float | None = None,
    everywhere: bool = False,
    radius: float | None = None,
    iterations: int | None = None,
    save: bool | str | os.PathLike[str] = False,
    overwrite: bool = False,
    progress: Report | None = None,
    watch: Callable[[Answer | None, Audited], None] | None = None,
) -> Audited:
    """The certified range of a region's contrast over all images that explain the scan as well.

    For each region: its mean less the mean of its surroundings, over ALL images within delta, no rougher than
    ``kappa`` and with values from ``lo`` to ``hi``. "In the data": the range excludes 0.

    Args:
        subject: A certified reconstruction, or its file ``S.npy`` or ``S.certificate.json``.
        roi: A disc ``(column, row, radius)`` in pixels (0-based, row 0 at the top), a mask ``[rows, columns]``, the
            file of one (``.npy``, NIfTI), or several of these.
        roi_mm: Discs ``(x, y, radius)`` in mm from the axis, x right, y up.
        kappa: A bound on TV in the image's unit, a percentage of the reconstruction's (``"120%"``), or an image
            ``.npy`` that has it; None for so much more than the scan's images show that most simulated objects
            are smoother (``ctrecon/auditing/roughness.py``).
        lo: The smallest value an object can have, in 1/mm.
        hi: The largest; None for 0.1, or twice the reconstruction's largest where that is more.
        gap: Pixels between region and surroundings.
        ring: Width of the surroundings in pixels; None for 0.6 of the radius, at least 4.
        everywhere: Whether to ask of discs all over the image, too, and draw what is decided.
        radius: Of these discs in pixels; None for a sixteenth of the image.
        iterations: The most; None for 6000, and 1500 for ``everywhere``.
        save: Whether to write a certificate for each range beside the files of ``subject``, as soon as it is there; or
            beside which ``S.npy``, for a reconstruction in memory.
        overwrite: Whether earlier ones of these names may be replaced.
        progress: Hears how far it is.
        watch: Hears once of the assumptions (with None), then of every answer, with all that is known so far.

    Returns:
        What was asked, the answers with their certificates, the map, and the files that were written.

    Raises:
        InputError: What is not certified, or cannot be read.
        SettingError: Impossible assumptions, or regions that do not lie in the image.
        OutputError: Where certificates cannot be written.
    """
    if radius is not None and not everywhere:
        raise SettingError("--radius is of the discs of --scan; a region's own radius belongs into --roi X,Y,R")
    surroundings = Ring(gap=gap, width=ring)
    beside = None if isinstance(save, bool) else Path(save)
    with evidence_of(subject, beside) as evidence:
        if isinstance(subject, Reconstruction) and save is True:
            raise SettingError("the reconstruction is in memory; say beside which image to save: save='S.npy'")
        image = (beside or evidence.image_path) if save else None
        regions = regions_of(roi, roi_mm, evidence, surroundings)
        if not (regions or everywhere):
            raise SettingError("say what to audit: --roi, --roi-mm or --scan")
        radius = _checked_radius(evidence, radius, surroundings) if everywhere else None
        if image is not None:
            places = [certificate_path(image, region.label) for region in regions]
            check_places([*places, *(map_paths(image).values() if everywhere else ())], overwrite=overwrite)
        assumptions = assume(
            evidence, **roughness(kappa, evidence), learned=is_learned(subject, evidence), lo=lo, hi=hi
        )
        asked = Audit(evidence=evidence, assumptions=assumptions)
        found = Audited(audit=asked, answers=(), map=None, empty=None, written={})
        if watch is not None:
            watch(None, found)
        for k, region in enumerate(regions, start=1):
            most = ITERATIONS if iterations is None else iterations
            answer = asked.ask(region, most_iterations=most, watch=_heard(progress, k, len(regions), most))
            if isinstance(answer, Empty):
                return Audited(audit=asked, answers=found.answers, map=None, empty=answer, written=found.written)
            written = dict(found.written)
            if image is not None:
                written[region.label] = write_answers(asked, [answer], image=image)[0]
            found = Audited(audit=asked, answers=(*found.answers, answer), map=None, empty=None, written=written)
            if watch is not None:
                watch(answer, found)
        if everywhere:
            most = ITERATIONS_OF_MAP if iterations is None else iterations
            drawn = tiles.scan(
                asked, radius=radius, ring=surroundings, most_iterations=most, watch=_heard_of_discs(progress)
            )
            written = found.written | ({} if image is None else write_map(asked, drawn, image))
            found = Audited(audit=asked, answers=found.answers, map=drawn, empty=None, written=written)
        return found


@contextmanager
def evidence_of(
    subject: Reconstruction | str | os.PathLike[str], beside: Path | None = None
) -> Iterator[Evidence]:
    """The certificate of ``subject``, checked from files; those of one in memory stand in a folder of their own."""
    if not isinstance(subject, Reconstruction):
        yield read_evidence(Path(subject))
        return
    if subject.certificate is None:
        raise InputError(f"the reconstruction is not certified, so there is nothing to audit: {subject}")
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / ("reconstruction.npy" if beside is None else beside.name)
        subject.certificate.write(image)
        yield read_evidence(image)


def is_learned(subject: Reconstruction | str | os.PathLike[str], evidence: Evidence) -> bool:
    """Whether the network made the image: of a file, as its own history says, where there is one."""
    if isinstance(subject, Reconstruction):
        return subject.conclusion.method == "energy"
    history = _history_beside(evidence)
    return history is not None and history.method == "energy"


def _history_beside(evidence: Evidence) -> History | None:
    """How the image came about, as the file beside it says, where there is one that speaks of this image."""
    path = evidence.image_path.with_name(evidence.image_path.name.removesuffix(".npy") + ".history.json")
    try:
        history = read_history(path)
    except (InputError, OSError):
        return None
    return history if history.image_sha256 == evidence.values["image"]["sha256"] else None


def _checked_radius(evidence: Evidence, radius: float | None, ring: Ring) -> float:
    """What cannot be is refused before the work begins. Raises SettingError."""
    shape = (evidence.image.shape[0], evidence.image.shape[1])
    radius = tiles.default_radius(shape) if radius is None else radius
    tiles.tile_up(shape, radius, ring)
    return radius


def _heard(progress: Report | None, k: int, count: int, most: int) -> Callable[[int, float, float], None] | None:
    if progress is None:
        return None

    def heard(done: int, lower: float, upper: float) -> None:
        values = {"range from": lower, "to": upper}
        item = f"region {k} of {count}"
        progress(Progress(stage="audit", unit="iteration", done=done, total=most, values=values, item=item))

    return heard


def _heard_of_discs(progress: Report | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(Progress(stage="map", unit="disc", done=done, total=total))
