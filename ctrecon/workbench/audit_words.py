"""What an audit says: lines for people, plain values for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctrecon.auditing.audit import Answer, Audit
from ctrecon.auditing.tiles import Map
from ctrecon.certificates.interval import Empty
from ctrecon.certificates.worth import worth, worth_of
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
    found = worth(evidence.verdict)
    return [
        f"{printable(evidence.image_path.name)}: {printable(claim)}",
        *(f"note: this says nothing: {why}" for why in found.nothing),
        *(f"note: this says little: {why}" for why in found.little),
        f"asked of all images within this delta, {100 * found.share:.3g}% of the data, with",
        f"  TV(u) <= kappa = {a.kappa:.6g}{evidence.units.after} ({printable(a.kappa_from)})",
        f"  {a.lo:g} <= u <= {a.hi:g}{evidence.units.after} ({a.hi_from})",
    ]


# Of the reconstruction's TV: where the curve over kappa is told.
CURVE = (1.0, 1.1, 1.25, 1.5, 2.0)


def answer_facts(answer: Answer, path: Path | None, audit: Audit) -> dict[str, Any]:
    """One region's answer."""
    certain, found = answer.certain_up_to, worth_of(answer.certificate)
    kappas = [times * audit.own_roughness for times in CURVE]
    curve = [dict(zip(("kappa", "lower", "upper"), (k, *answer.curve.range_at(k)), strict=True)) for k in kappas]
    return {
        "region": answer.region.name, "label": answer.region.label, "contrast": answer.contrast,
        "lower": answer.certificate.lower, "upper": answer.certificate.upper,
        "found": None if answer.found is None else list(answer.found), "verdict": answer.verdict,
        "condition": audit.condition, "curve": curve,
        "certain_up_to_kappa": certain if math.isfinite(certain) else None,
        "says_nothing": list(found.nothing), "says_little": list(found.little),
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
    return [
        f"{printable(answer.region.name)}:",
        f"  contrast in the reconstruction {answer.contrast:.6g}{unit}",
        f"  certified for every such image: {made.lower:.6g} to {made.upper:.6g}{unit}",
        reached,
        f"  verdict: {answer.verdict.upper() if answer.decided else answer.verdict}, {audit.condition}",
        *([f"  {said}"] if (said := worth_of(made).said) else []),
        f"  {audit.certainty(answer)}",
        f"  {answer.iterations} iterations, {answer.seconds:.1f} s{where}",
    ]


def empty_line(audit: Audit, empty: Empty) -> str:
    """That there is nothing to ask, and what would change that."""
    a = audit.assumptions
    return (
        f"no image is within delta = {audit.evidence.delta:.6g} with TV <= {a.kappa:.6g} and values "
        f"from {a.lo:g} to {a.hi:g} (proved: its contrast would be above {empty.lower:.6g} and below "
        f"{empty.upper:.6g}); raise --kappa, --hi or lower --lo"
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
