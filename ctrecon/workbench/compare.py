"""``ctrecon.compare``: two reconstructions of one scan, and where the data decide between them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.auditing.assumptions import assume
from ctrecon.auditing.audit import Audit
from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.regions import GAP, Ring, safe
from ctrecon.auditing.versus import Disputed, Versus, versus
from ctrecon.auditing.versus_picture import draw_versus
from ctrecon.certificates import verify
from ctrecon.certificates.interval import Empty
from ctrecon.errors import InputError, SettingError
from ctrecon.io.images import read_image_array
from ctrecon.support.arguments import checked
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_files
from ctrecon.support.places import check_places
from ctrecon.support.progress import Progress, Report
from ctrecon.support.rounded import at_least, at_most
from ctrecon.support.text import printable
from ctrecon.workbench import audit_words as words
from ctrecon.workbench.audit import evidence_of, is_learned
from ctrecon.workbench.audit_questions import roughness
from ctrecon.workbench.result import Reconstruction

ITERATIONS, DISCS = 1500, 8
Subject = Reconstruction | str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What a comparison found. As text, what ``ctrecon compare`` prints; ``to_dict()`` are the same for machines.

    ``found``: the discs of the largest difference with their proved ranges; None where ``empty`` proves that no image
    is within the limits. ``notes``: what was taken on trust. ``written``: the paths of picture, list and certificates.
    """

    names: tuple[str, str]
    images: tuple[Array, Array]
    audit: Audit
    found: Versus | None
    empty: Empty | None
    notes: tuple[str, ...]
    written: dict[str, Path]

    def __repr__(self) -> str:
        if self.found is None:
            return "<Compared: no such image>"
        return f"<Compared {self.names[0]!r} and {self.names[1]!r}: {len(self.found.disputed)} discs>"

    def __str__(self) -> str:
        lines = [f"A: {printable(self.names[0])}", f"B: {printable(self.names[1])}"]
        lines += [f"note: {note}" for note in self.notes]
        lines += words.assumed_lines(self.audit)
        if self.empty is not None:
            return "\n".join([*lines, words.empty_line(self.audit, self.empty)])
        assert self.found is not None
        lines += [_line(k, one, self.audit) for k, one in enumerate(self.found.disputed, start=1)]
        lines.append(_whole(self.found))
        lines += [f"{what:>12}: {printable(str(path))}" for what, path in self.written.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            ``status``, the two images' names, notes, what was assumed; the disputed ``discs`` with their certified
            ranges, or ``error`` where no image meets the assumptions; plain values for JSON.
        """
        told: dict[str, Any] = {
            "status": "answered" if self.empty is None else "no such image", "A": self.names[0], "B": self.names[1],
            "notes": list(self.notes), **words.assumed_facts(self.audit),
        }  # fmt: skip
        if self.empty is not None:
            return {**told, "error": words.empty_line(self.audit, self.empty)}
        assert self.found is not None
        told |= {"radius": self.found.radius, "places": self.found.places, "seconds": round(self.found.seconds, 3)}
        told["discs"] = [
            {"region": one.region.name, "column": one.column, "row": one.row, "A": one.contrasts[0],
             "B": one.contrasts[1], "lower": one.certificate.lower, "upper": one.certificate.upper,
             "wrong": list(one.wrong), "says_nothing": list(one.nothing), "verdict": one.verdict}
            for one in self.found.disputed
        ]  # fmt: skip
        return told | {"written": {what: str(path) for what, path in self.written.items()}}


@checked
def compare(
    a: Subject,
    b: Subject,
    *,
    kappa: float | str | None = None,
    lo: float = 0.0,
    hi: float | None = None,
    gap: float = GAP,
    ring: float | None = None,
    radius: float | None = None,
    discs: int = DISCS,
    iterations: int | None = None,
    save: bool | str | os.PathLike[str] = False,
    overwrite: bool = False,
    progress: Report | None = None,
) -> Compared:
    """Where two reconstructions of one scan differ most: do the data decide between them?

    Asked of the discs in which their contrasts to the surroundings differ most. An image whose contrast no image
    within the limits shows is wrong there, if the object is within the limits; two that are both within them differ by
    what the data leave open.

    Args:
        a: A reconstruction, or the file ``S.npy`` or ``S.certificate.json`` of one. A or B must be certified.
        b: Another of the same scan; by their certificates, which must speak of the same data and geometry. An image
            without one is compared all the same, and that it is of this scan taken on trust.
        kappa: A bound on TV as for ``audit``; None for the larger of the bounds that either image suggests.
        lo: The smallest value an object can have, in 1/mm.
        hi: The largest; None as for ``audit``.
        gap: Pixels between disc and surroundings.
        ring: Width of the surroundings in pixels; None for 0.6 of the radius, at least 4.
        radius: Of the discs in pixels; None for a sixteenth of the image.
        discs: The most that are asked about; these bound the time.
        iterations: The most for each; None for 1500.
        save: Whether to write picture, list and a certificate of each disc beside A's files, or beside which ``S.npy``.
        overwrite: Whether earlier ones of these names may be replaced.
        progress: Hears how far it is.

    Returns:
        Ranges and verdicts.

    Raises:
        InputError: What is not certified, not of the same scan, or cannot be read.
        SettingError: Impossible limits or discs.
        OutputError: Where files cannot be written.
    """
    if discs < 1:
        raise SettingError(f"discs must be >= 1, got {discs}")
    surroundings, names = Ring(gap=gap, width=ring), (_name(a), _name(b))
    with ExitStack() as stack:
        (image_a, one), (image_b, two) = (stack.enter_context(_opened(subject)) for subject in (a, b))
        certified = [(e, s) for e, s in ((one, a), (two, b)) if e is not None]
        if not certified:
            raise InputError(f"neither {names[0]} nor {names[1]} is certified, so that no data are known to decide")
        if image_a.shape != image_b.shape:
            raise InputError(f"{names[1]}: has shape {image_b.shape}, {names[0]} {image_a.shape}; compare on one grid")
        image = _beside(a, save)
        paths = {} if image is None else compare_paths(image, names[1])
        check_places(paths.values(), overwrite=overwrite)
        notes = _of_one_scan(names, one, two) + _untied(names, (a, b), (one, two))
        # A larger delta makes the weaker and safer statement.
        evidence = max((e for e, _ in certified), key=lambda e: (e.values["norm"] == certified[0][0].values["norm"],
                                                                 e.delta))  # fmt: skip
        suggested = [
            assume(
                e, **roughness(kappa, e), learned=is_learned(s, e), called="A" if e is one else "B", lo=lo, hi=hi
            ) for e, s in certified
        ]  # fmt: skip
        asked = Audit(
            evidence=evidence, assumptions=max(suggested, key=lambda limits: limits.kappa),
            called="A" if evidence is one else "B",
        )  # fmt: skip
        found = versus(
            asked, (image_a, image_b), names=names, radius=radius, ring=surroundings, most=discs,
            most_iterations=ITERATIONS if iterations is None else iterations, watch=_heard(progress),
        )
        answer = Compared(
            names=names, images=(image_a, image_b), audit=asked, found=None if isinstance(found, Empty) else found,
            empty=found if isinstance(found, Empty) else None, notes=notes, written={},
        )
        return answer if image is None or isinstance(found, Empty) else _written(answer, found, image, paths, overwrite)


def compare_paths(image: Path, other: str) -> dict[str, Path]:
    """Beside ``S.npy``: ``S.versus-OTHER.png`` and ``.json``."""
    stem = f"{image.name.removesuffix('.npy')}.versus-{safe(other.removesuffix('.npy'))}"
    return {"picture": image.with_name(f"{stem}.png"), "list": image.with_name(f"{stem}.json")}


def _written(
    answer: Compared, found: Versus, image: Path, paths: dict[str, Path], overwrite: bool
) -> Compared:
    other = safe(answer.names[1].removesuffix(".npy"))[:30]
    asked = {f"versus-{other}-{k}": one for k, one in enumerate(found.disputed, start=1)}
    written = dict(paths)
    with atomic_files() as place:
        for label, one in asked.items():
            written[label] = one.certificate.put_labelled(place, image, label, overwrite=overwrite)[""]
        whole = Compared(**{**vars(answer), "written": written})
        place(paths["picture"]).write_bytes(draw_versus(found, answer.images, answer.names))
        place(paths["list"]).write_text(json.dumps(whole.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return whole


def _whole(found: Versus) -> str:
    """How much the data decide, in a line."""
    asked, all_of_them = len(found.disputed), f"all {found.places} discs of radius {found.radius:g} pixels"
    if not asked:
        return f"A and B show the same contrast in {all_of_them}: there is nothing to decide"
    decided = sum(one.decided for one in found.disputed)
    return (
        f"the data decide in {decided} of the {asked} discs of the largest difference (of {found.places}), "
        f"{found.audit.condition}"
    )


def _line(k: int, one: Disputed, audit: Audit) -> str:
    made, unit = one.certificate, audit.evidence.units.after
    return (
        f"disc {k} at column {one.column:.4g}, row {one.row:.4g}: A shows {one.contrasts[0]:.4g}, "
        f"B {one.contrasts[1]:.4g}; no image within the limits shows less than {at_most(made.lower)} or more than "
        f"{at_least(made.upper)}{unit}: {one.verdict}"
    )


@contextmanager
def _opened(subject: Subject) -> Iterator[tuple[Array, Evidence | None]]:
    """The image and, where it is certified, what its certificate speaks of."""
    if isinstance(subject, Reconstruction) and not subject.certified:
        yield subject.image, None
        return
    if not isinstance(subject, Reconstruction) and not _certificate(Path(subject)).is_file():
        yield read_image_array(Path(subject)), None
        return
    if not isinstance(subject, Reconstruction) and verify.check(_certificate(Path(subject))).kind == "infeasible":
        yield read_image_array(_image(Path(subject))), None
        return
    with evidence_of(subject) as evidence:
        yield evidence.image, evidence


def _certificate(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".npy") + verify.FILES[""]) if path.suffix == ".npy" else path


def _image(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(verify.FILES[""]).removesuffix(".npy") + ".npy")


def _name(subject: Subject) -> str:
    if isinstance(subject, Reconstruction):
        return f"{subject.conclusion.method or 'reconstruction'}, in memory"
    return _image(Path(subject)).name


def _of_one_scan(names: tuple[str, str], one: Evidence | None, two: Evidence | None) -> tuple[str, ...]:
    """Raises InputError unless both certificates speak of the same data and operator; what they weigh otherwise."""
    if one is None or two is None:
        return ()
    for what in ("data", "operator"):
        a, b = one.values[what], two.values[what]
        if a != b:
            said = "geometry or grid" if what == "operator" else "data"
            raise InputError(f"{names[1]}: is certified for other {said} than {names[0]}; give two of one scan")
    if (one.values["norm"], one.values["weights"]) != (two.values["norm"], two.values["weights"]):
        return ("the certificates weigh the data differently; the first one's norm is used",)
    return ()


def _untied(
    names: tuple[str, str], subjects: tuple[Subject, Subject], found: tuple[Evidence | None, Evidence | None]
) -> tuple[str, ...]:
    """What is taken on trust of an image without certificate. Raises InputError where it is of another scan."""
    notes = []
    known = next(e for e in found if e is not None)
    for name, subject, evidence in zip(names, subjects, found, strict=True):
        if evidence is not None:
            continue
        if not isinstance(subject, Reconstruction):
            notes.append(f"{printable(name)} is not certified; that it is of this scan and on this grid is on trust")
        elif not np.array_equal(subject.scan.sinogram, known.data):
            raise InputError(f"{name}: is of other data; give two reconstructions of one scan")
        else:
            notes.append(f"{printable(name)} is not certified: it misses delta")
    return tuple(notes)


def _beside(a: Subject, save: bool | str | os.PathLike[str]) -> Path | None:
    if save is False:
        return None
    if save is True:
        if isinstance(a, Reconstruction):
            raise SettingError("the reconstruction is in memory; say beside which image to save: save='S.npy'")
        return _image(Path(a))
    return Path(save)


def _heard(progress: Report | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(Progress(stage="compare", unit="disc", done=done, total=total))
