"""What an audit says: lines for people, plain values for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.auditing.audit import Answer, Audit
from ctrecon.auditing.tiles import Map
from ctrecon.certificates.interval import Empty
from ctrecon.certificates.worth import worth
from ctrecon.support.rounded import at_least, at_most, within
from ctrecon.support.text import printable


def assumed_facts(audit: Audit) -> dict[str, Any]:
    """What is taken for granted."""
    a, evidence = audit.assumptions, audit.evidence
    return {
        "reconstruction": str(evidence.image_path), "delta": evidence.delta, "norm": evidence.values["norm"],
        "kappa": a.kappa, "kappa_from": a.kappa_from, "lo": a.lo, "hi": a.hi, "hi_from": a.hi_from,
        "unit": evidence.units.attenuation or None, "condition": audit.condition,
        "tv_of_image": audit.own_roughness, "tv_of_smoothest": audit.least_roughness,
    }  # fmt: skip


def assumed_lines(audit: Audit) -> list[str]:
    """The same in words."""
    a, evidence = audit.assumptions, audit.evidence
    claim = evidence.values["statement"].split(" for ")[0]
    found, (lo, hi) = worth(evidence.verdict), within(a.lo, a.hi, 6)
    return [
        f"{printable(evidence.image_path.name)}: {printable(claim)}",
        *(f"note: this says nothing: {why}" for why in found.nothing),
        *(f"note: this says little: {why}" for why in found.little),
        f"asked of all images within this delta, {100 * found.share:.3g}% of the norm of the data, with",
        f"  TV(u) <= kappa = {at_most(a.kappa, 6)}{evidence.units.after} ({printable(a.kappa_from)})",
        f"  {lo} <= u <= {hi}{evidence.units.after} ({a.hi_from})",
        *(f"note: {printable(evidence.image_path.name)} is none of these images: {why}" for why in audit.own_excess),
    ]


# Of the reconstruction's TV: where the curve over kappa is told.
CURVE = (1.0, 1.1, 1.25, 1.5, 2.0)


def answer_facts(answer: Answer, path: Path | None, audit: Audit) -> dict[str, Any]:
    """One region's answer."""
    certain, found = answer.certain_up_to, answer.worth
    kappas = [times * audit.own_roughness for times in CURVE]
    curve = [dict(zip(("kappa", "lower", "upper"), (k, *answer.curve.range_at(k)), strict=True)) for k in kappas]
    return {
        "region": answer.region.name, "label": answer.region.label, "contrast": answer.contrast,
        "lower": answer.certificate.lower, "upper": answer.certificate.upper,
        "found": None if answer.found is None else list(answer.found), "verdict": _verdict(answer).lower(),
        "condition": audit.condition, "curve": curve,
        "certain_up_to_kappa": certain if math.isfinite(certain) else None,
        "says_nothing": list(found.nothing), "says_little": list(found.little),
        "contradicts_image": answer.contradicts,
        "converged": answer.converged, "iterations": answer.iterations, "seconds": round(answer.seconds, 3),
        "certificate": None if path is None else str(path),
    }  # fmt: skip


def answer_lines(answer: Answer, path: Path | None, audit: Audit) -> list[str]:
    """The same in words."""
    made, unit = answer.certificate, audit.evidence.units.after
    reached = "  no image well inside of all bounds was found, so the range may be wider than need be"
    if answer.found is not None:
        reached = f"  images found, by the solver alone, that show {answer.found[0]:.6g} and {answer.found[1]:.6g}"
        reached += "" if answer.converged else "; more --iterations may narrow the certified range"
    where = "" if path is None else f"; certificate: {printable(str(path))}"
    c = answer.region.functional
    inside, around = int(np.count_nonzero(c > 0)), int(np.count_nonzero(c < 0))
    return [
        f"{printable(answer.region.name)} ({inside} pixel{'s' * (inside != 1)} against {around}):",
        f"  contrast in the reconstruction {answer.contrast:.6g}{unit}",
        f"  certified for every such image: {at_most(made.lower, 6)} to {at_least(made.upper, 6)}{unit}",
        reached,
        f"  verdict: {_verdict(answer)}{'' if answer.worth.nothing else f', {audit.condition}'}",
        *(["  the reconstruction is wrong here, under the same condition: it shows what no such image does"]
          if answer.contradicts else []),
        *([f"  {said}"] if (said := answer.worth.said) else []),
        f"  {audit.certainty(answer)}",
        f"  {answer.iterations} iterations, {answer.seconds:.1f} s{where}",
    ]


def _verdict(answer: Answer) -> str:
    """Loud where the data decide; none where the range says nothing."""
    if answer.worth.nothing:
        return "none, since the range says nothing"
    return answer.verdict.upper() if answer.decided else answer.verdict


def empty_line(audit: Audit, empty: Empty) -> str:
    """That there is nothing to ask, and what would change that."""
    a = audit.assumptions
    lo, hi = within(a.lo, a.hi, 6)
    return (
        f"no image is within delta = {at_most(audit.evidence.delta, 6)} with TV <= {at_most(a.kappa, 6)} and values "
        f"from {lo} to {hi}{audit.evidence.units.after} (proved: its contrast would be at least "
        f"{at_most(empty.lower, 6)} and at most {at_least(empty.upper, 6)}); raise --kappa, --hi or lower --lo"
    )


def map_facts(found: Map, written: Mapping[str, Path]) -> dict[str, Any]:
    """Of the map: how many discs, how many decided, and the files."""
    return {
        **{what: str(written[what]) for what in ("map", "values", "tiles") if what in written},
        "radius": found.radius,
        "discs": len(found.tiles),
        "decided": sum(tile.decided for tile in found.tiles),
        "seconds": round(found.seconds, 3),
    }


def map_lines(found: Map, written: Mapping[str, Path], audit: Audit) -> list[str]:
    """The same in words."""
    decided = sum(tile.decided for tile in found.tiles)
    return [
        f"{decided} of {len(found.tiles)} discs of radius {found.radius:g} pixels differ from their surroundings in "
        f"every such image, {audit.condition} ({found.seconds:.0f} s)",
        *(f"{what:>12}: {printable(str(written[what]))}" for what in ("map", "values", "tiles") if what in written),
    ]
