"""The interval certificate: ``lower <= <c, u> <= upper`` for all images that explain the data and are not too rough.

Any ``y`` and ``p`` prove a bound (weak duality; ``docs/guarantees.md``): it is computed here by the checker's own
function in float64 with a bound on its rounding, so nothing of the solver has to be trusted. A certificate is several
files beside the reconstruction ``S.npy`` with a label ``L``: ``S.L.certificate.json``, ``S.L.data.npy``, ...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrecon.atomic import atomic_write
from ctrecon.certificates import verify
from ctrecon.certificates.feasible import _claim, _npy, _plain, _source, _versions
from ctrecon.errors import InputError, OutputError

Array = npt.NDArray[Any]

ROOM = 1e-9
"""Of the size of the ends: another machine sums in another order, and must not refuse."""


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
class IntervalCertificate:
    """Proof of a range. ``files`` maps the part's name to its bytes; ``write`` puts them down."""

    statement: str
    lower: float
    upper: float
    values: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def write(self, image_path: str | Path, label: str) -> dict[str, Path]:
        """Write all files beside ``image_path`` (``S.npy``) as ``S.LABEL...``; paths by part, the certificate ``""``.

        None is renamed before all are complete; the certificate comes last. Raises OutputError for a label of other
        characters than letters, digits, dash, or where the disk does not take them.
        """
        if not re.fullmatch(r"[A-Za-z0-9-]{1,80}", label):
            raise OutputError(f"a label has 1 to 80 letters, digits and dashes, got {label!r}")
        image_path = Path(image_path)
        stem = f"{image_path.name.removesuffix('.npy')}.{label}"
        paths = {name: image_path.with_name(stem + verify.FILES[name]) for name in self.files}
        with ExitStack() as stack:
            # What is opened last is renamed first: the certificate replaces an older one after all it speaks of.
            waiting = {name: stack.enter_context(atomic_write(paths[name])) for name in reversed(list(self.files))}
            for name, raw in self.files.items():
                waiting[name].write_bytes(raw)
        return paths


def prove_end(problem: verify.Problem, delta: float, kappa: float, c: Array, dual: Dual) -> float:
    """A number that ``<c, u>`` is not below, for any image of the set: proved in float64, some room for other machines.

    ``problem`` holds the operator as a certificate describes it, data, weights and box; ``c [rows, columns]``, float64.
    """
    computed, proved = verify.lower_end(problem, delta, kappa, c, _float64(dual.y), _float64(dual.p))
    return proved - ROOM * abs(computed)


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
    packed: bytes | None = None,
    source: str | Path | None = None,
) -> IntervalCertificate | Empty:
    """The range of ``<c, u>`` that the two duals prove. ``upper`` bounds ``-c`` from below.

    ``problem`` as a certificate describes it: operator, data and weights as stored, box. ``packed`` is the matrix file
    where the operator has one. ``region`` says in words what is measured; ``source`` is the reconstruction's
    certificate. Raises InputError for arrays that do not fit.
    """
    c = _float64(c)
    measured = problem.data.shape
    for name, array, shape in (
        ("functional", c, c.shape), ("lower y", lower.y, measured), ("upper y", upper.y, measured),
        ("lower p", lower.p, (2, *c.shape)), ("upper p", upper.p, (2, *c.shape)),
    ):  # fmt: skip
        if array.shape != shape or not bool(np.isfinite(array).all()):
            raise InputError(f"the {name} must be finite and of shape {list(shape)}, got {list(array.shape)}")
    try:
        operator_name = verify.check_operator(problem.operator, list(c.shape), list(measured))
    except verify.Refused as why:
        raise InputError(f"this problem cannot be certified: {why}") from None
    low = prove_end(problem, delta, kappa, c, lower)
    high = -prove_end(problem, delta, kappa, -c, upper)
    if not low <= high:
        return Empty(lower=low, upper=high)
    arrays = {
        "data": _plain(problem.data, "data"), "functional": c,
        "lower_y": _float64(lower.y), "upper_y": _float64(upper.y),
        "lower_p": _float64(lower.p), "upper_p": _float64(upper.p),
    }  # fmt: skip
    w = problem.weights
    if w is not None:
        arrays["weights"] = _plain(w, "weights")
    files = {name: _npy(array) for name, array in arrays.items()}
    claims: dict[str, Any] = {name: _claim(array, files[name]) for name, array in arrays.items()}
    if packed is not None:
        files["matrix"] = packed
    values: dict[str, Any] = {
        "format": verify.FORMAT,
        "kind": "interval",
        "limits": verify.LIMITS["interval"],
        "norm": norm,
        "delta": float(delta),
        "kappa": float(kappa),
        "lo": float(problem.lo),
        "hi": float(problem.hi),
        "region": region,
        "lower": low,
        "upper": high,
        "operator": problem.operator,
        "weights": None,
        **claims,
        "source": None if source is None else _source(Path(source)),
        "made_with": _versions(),
    }
    values["statement"] = verify.statement(values, operator_name, 0 if w is None else int(np.sum(w == 0)))
    return IntervalCertificate(
        statement=values["statement"], lower=low, upper=high, values=values,
        files={**files, "": verify.encode(values)},
    )  # fmt: skip


def _float64(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype="<f8")
