"""The interval certificate: ``lower <= <c, u> <= upper`` for all images that explain the data and are not too rough.

Any ``y`` and ``p`` prove a bound (weak duality; ``docs/guarantees.md``): it is computed here by the checker's own
function in float64 with a bound on its rounding, so nothing of the solver has to be trusted. A certificate is several
files beside the reconstruction ``S.npy`` with a label ``L``: ``S.L.certificate.json``, ``S.L.data.npy``, ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.certificates import verify
from ctrecon.certificates.parts import Certificate, plain, seal
from ctrecon.errors import InputError, OutputError
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import Files, atomic_files
from ctrecon.support.places import check_places

# Another machine's sum is off by as much in the other direction, and takes its own bound off once more.
ROOM = 4.0
MARGIN = 1e-9


@dataclass(frozen=True, kw_only=True)
class Dual:
    """What proves one end: ``y`` of the shape of the data, for the whitened residual, and ``p [2, rows, columns]``."""

    y: Array
    p: Array


@dataclass(frozen=True, kw_only=True)
class Empty:
    """Both ends together prove that no image is in the set: every value is above ``lower`` and below ``upper``."""

    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class IntervalCertificate(Certificate):
    """Proof of a range."""

    lower: float
    upper: float

    def write_labelled(self, image_path: str | Path, label: str, *, overwrite: bool = False) -> dict[str, Path]:
        """Write all files of the certificate beside an image, all or none.

        Args:
            image_path: ``S.npy``; the files are ``S.LABEL...``.
            label: Of the region: letters, digits, dash.
            overwrite: Whether older ones may be replaced.

        Returns:
            The paths by what they are; the certificate's is that of ``""``.

        Raises:
            OutputError: For another label, where files are there already, or cannot be written.
        """
        with atomic_files() as place:
            return self.put_labelled(place, Path(image_path), label, overwrite=overwrite)

    def put_labelled(
        self, place: Files, image_path: Path, label: str, *, overwrite: bool = False
    ) -> dict[str, Path]:
        """``write_labelled`` as part of what ``place`` writes together.

        Args:
            place: Takes each file's path, and gives where to write it meanwhile.
            image_path: As there, and so are label and overwrite.
            label: Of the region.
            overwrite: Whether older ones go.

        Returns:
            The paths, as there.

        Raises:
            OutputError: For another label, or where files are there already.
        """
        image = _labelled(image_path, label)
        check_places([path for path in self._paths(image).values() if path.exists()], overwrite=overwrite)
        return self.put(place, image)


def excludes(lower: float, upper: float, value: float) -> bool:
    """Whether ``value`` lies outside of a proved range, by more than the rounding of an image's own sum."""
    room = 1e-9 * (abs(lower) + abs(upper))
    return not lower - room <= value <= upper + room


def _labelled(image_path: Path, label: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,80}", label):
        raise OutputError(f"a label has 1 to 80 letters, digits and dashes, got {label!r}")
    return image_path.with_name(f"{image_path.name.removesuffix('.npy')}.{label}.npy")


def certificate_path(image_path: Path, label: str) -> Path:
    """The certificate about the region ``label`` of ``image_path`` (``S.npy``). Raises OutputError as above."""
    labelled = _labelled(image_path, label)
    return labelled.with_name(labelled.name.removesuffix(".npy") + verify.FILES[""])


def prove_end(problem: verify.Problem, delta: float, kappa: float, c: Array, dual: Dual) -> float:
    """A number that ``<c, u>`` is not below, for any image of the set: in float64, with some room for other machines.

    Args:
        problem: The operator as a certificate describes it, data, weights and box.
        delta: Bound of the residual.
        kappa: Bound of the total variation.
        c: What is measured, ``[rows, columns]``, float64.
        dual: The vectors that prove it.

    Returns:
        The bound, in units of ``<c, u>``.
    """
    return _end(problem, delta, kappa, c, dual)[0]


def _end(problem: verify.Problem, delta: float, kappa: float, c: Array, dual: Dual) -> tuple[float, float]:
    """What to state, and what this machine proves."""
    computed, proved = verify.lower_end(problem, delta, kappa, c, _float64(dual.y), _float64(dual.p))
    return computed - ROOM * (computed - proved), proved


def is_member(problem: verify.Problem, norm: str, delta: float, kappa: float, image: Array) -> bool:
    """Whether ``image [rows, columns]`` is proved to be within delta, kappa and the box, also by another machine."""
    less = 1 - MARGIN
    limits = {"norm": norm, "delta": delta * less, "kappa": kappa * less, "lo": problem.lo, "hi": problem.hi}
    try:
        verify.belongs(limits, problem, _float64(image))
    except verify.Refused:
        return False
    return True


def certify_interval(
    problem: verify.Problem,
    norm: str,
    delta: float,
    kappa: float,
    c: Array,
    lower: Dual,
    upper: Dual,
    *,
    region: str,
    member: Array | None = None,
    entries: Array | None = None,
    source: str | Path | None = None,
) -> IntervalCertificate | Empty:
    """The range of ``<c, u>`` over all images within delta, kappa and the box, as two dual vectors prove it.

    Args:
        problem: As a certificate describes it: operator, data and weights as stored, box.
        norm: ``2-norm`` or ``whitened``.
        delta: Bound of the residual.
        kappa: Bound of the total variation.
        c: What is measured, ``[rows, columns]``.
        lower: Bounds ``<c, u>`` from below.
        upper: Bounds ``<-c, u>`` from below.
        region: Says in words what is measured.
        member: An image ``[rows, columns]`` within delta, kappa and the box: stored, it shows that the range speaks of
            something. Where that is not proved of it, it is left out.
        entries: Those of the matrix, where the operator has one.
        source: The reconstruction's certificate.

    Returns:
        The certificate, or ``Empty`` where the two ends prove that no image is in the set.

    Raises:
        InputError: For arrays that do not fit, or a problem beyond the checker.
    """
    c = _float64(c)
    data, weights = problem.scan
    for name, array, shape in (
        ("functional", c, c.shape), ("lower y", lower.y, data.shape), ("upper y", upper.y, data.shape),
        ("lower p", lower.p, (2, *c.shape)), ("upper p", upper.p, (2, *c.shape)),
    ):  # fmt: skip
        if array.shape != shape or not bool(np.isfinite(array).all()):
            raise InputError(f"the {name} must be finite and of shape {list(shape)}, got {list(array.shape)}")
    try:
        verify.check_operator(problem.operator, list(c.shape), list(data.shape))
    except verify.Refused as why:
        raise InputError(f"this problem cannot be certified: {why}") from None
    (low, least), (high, most) = (_end(problem, delta, kappa, *end) for end in ((c, lower), (-c, upper)))
    high, most = -high, -most
    if not (low <= high and least <= most):
        return Empty(lower=least, upper=most)
    arrays = {
        "data": plain(data, "data"), "functional": c,
        "lower_y": _float64(lower.y), "upper_y": _float64(upper.y),
        "lower_p": _float64(lower.p), "upper_p": _float64(upper.p),
    }  # fmt: skip
    if member is not None and is_member(problem, norm, delta, kappa, member):
        arrays["member"] = _float64(member)
    if weights is not None:
        arrays["weights"] = plain(weights, "weights")
    numbers = {
        "norm": norm, "delta": float(delta), "kappa": float(kappa), "lo": float(problem.lo), "hi": float(problem.hi),
        "region": region, "lower": low, "upper": high,
    }  # fmt: skip
    values, files = seal(
        "interval", numbers, problem.operator, arrays, shape=list(c.shape), entries=entries, source=source
    )
    return IntervalCertificate(
        statement=values["statement"], delta=float(delta), lower=low, upper=high, values=values, files=files
    )


def _float64(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype="<f8")
