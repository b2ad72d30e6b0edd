"""The interval certificates beside a reconstruction: each checked, and bound to the scan that the image explains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.certificates import verify
from ctrecon.certificates.interval import excludes
from ctrecon.certificates.worth import worth
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Audit:
    """One region. ``refused`` is why its certificate does not hold, else empty; then the other values are proved.

    ``functional`` is ``c [rows, columns]``: positive in the region, negative in its surroundings. ``lower <= <c, u> <=
    upper`` for every image u that explains the data within ``delta`` with TV(u) <= ``kappa`` and ``lo <= u <= hi``.
    """

    name: str
    region: str
    refused: str = ""
    lower: float = math.nan
    upper: float = math.nan
    delta: float = math.nan
    kappa: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    functional: Array | None = None
    value: float = math.nan
    """<c, u> of the image that is shown."""
    nothing: tuple[str, ...] = ()
    """Why the range says nothing, or (``little``) little."""
    little: tuple[str, ...] = ()

    @property
    def contradicts(self) -> bool:
        """Whether the image that is shown is none of those that the range is about: it shows what none of them does."""
        return not self.nothing and excludes(self.lower, self.upper, self.value)

    @property
    def decided(self) -> bool:
        return (self.lower > 0 or self.upper < 0) and not self.nothing


def find_audits(
    stem: Path, image: Array, claim: Mapping[str, Any] | None, check: Callable[[Path], verify.Verdict]
) -> tuple[Audit, ...]:
    """``S.LABEL.certificate.json`` for every LABEL. ``claim`` is the reconstruction's own valid certificate.

    What says to be of another kind is of another reconstruction, ``S.LABEL``, and so is what has that one's image.
    """
    ending = verify.FILES[""]
    found = []
    # By comparing names, not by a pattern: the stem may hold any character.
    for path in sorted(stem.parent.iterdir()):
        if path.name.startswith(stem.name + ".") and path.name.endswith(ending) and path.name != stem.name + ending:
            label = path.name.removeprefix(stem.name + ".").removesuffix(ending)
            parts = label.split(".")
            longer = (".".join((stem.name, *parts[:k])) + verify.FILES["image"] for k in range(1, len(parts)))
            if not any(path.with_name(name).exists() for name in longer):
                verdict = check(path)
                if verdict.kind in ("interval", None):
                    found.append(_audit(path, label, verdict, image, claim))
    return tuple(found)


def _fault(functional: Array, values: Mapping[str, Any], claim: Mapping[str, Any] | None) -> str:
    """Why a valid certificate does not say what the page would have it say, or ``""``."""
    # The checker proves bounds on any <c, u>; the page speaks of a contrast: one mean less another.
    for mask, mean in ((functional > 0, 1.0), (functional < 0, -1.0)):
        if not mask.any() or np.abs(functional[mask] * np.count_nonzero(mask) - mean).max() > 1e-9:
            return "what it measures is not the mean over a region less the mean over its surroundings"
    if claim is None:
        return ""
    if (claim["data"]["sha256"], claim["operator"]) != (values["data"]["sha256"], values["operator"]):
        return "it speaks of other data or another geometry than this reconstruction"
    if (claim["norm"], claim["weights"]) != (values["norm"], values["weights"]):
        return "it weighs the data otherwise than this reconstruction"
    # An infeasible certificate's delta is met by no image, so only that of a certified image can be compared.
    if claim["kind"] == "feasible" and values["delta"] < claim["delta"]:
        return (
            f"it speaks of images within delta = {values['delta']!r} only, and this one is certified for "
            f"{claim['delta']!r}; audit again"
        )
    return ""


def _audit(
    path: Path, label: str, verdict: verify.Verdict, image: Array, claim: Mapping[str, Any] | None
) -> Audit:
    def refused(why: object) -> Audit:
        return Audit(name=path.name, region=label, refused=verify.one_line(why))

    if not verdict.valid:
        return refused(verdict.reason)
    try:
        values = verify.parse_certificate(verify.read(path, verify.MAX_BYTES))
        stored = path.with_name(path.name.removesuffix(verify.FILES[""]) + ".functional.npy")
        functional = verify.load(values["functional"], stored, "functional")
        numbers = {name: float(values[name]) for name in ("lower", "upper", "delta", "kappa", "lo", "hi")}
        region = str(values["region"])
    except (verify.Refused, OSError, KeyError, TypeError, ValueError) as why:
        return refused(why)
    if functional.shape != image.shape:
        return refused(f"it speaks of an image of shape {functional.shape}, the one shown has {image.shape}")
    if fault := _fault(functional, values, claim):
        return refused(fault)
    found = worth(verdict)
    value = float(np.vdot(functional.astype(np.float64), image.astype(np.float64)))
    return Audit(
        name=path.name,
        region=region or label,
        lower=numbers["lower"],
        upper=numbers["upper"],
        delta=numbers["delta"],
        kappa=numbers["kappa"],
        lo=numbers["lo"],
        hi=numbers["hi"],
        functional=functional,
        value=value,
        nothing=found.nothing,
        little=found.little,
    )
