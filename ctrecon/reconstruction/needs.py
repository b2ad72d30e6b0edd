"""What is stated beside a method or an energy: what it needs of a scan, and what serves many scans at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ctrecon.classical.inversion import inversion
from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan

F = TypeVar("F", bound=Callable[..., Any])
Need = Callable[[Scan], None]
"""Raises a CtreconError that names what is missing, and what would do."""


def needs(*what: Need) -> Callable[[F], F]:
    """Decorates a method of ``methods/`` or an energy of ``objectives/`` with what it needs."""

    def state(function: F) -> F:
        function.__dict__["needs"] = what
        return function

    return state


def at_once(several: Callable[..., Any]) -> Callable[[F], F]:
    """Decorates a method with what does the same for a list of problems that share an operator, sooner."""

    def state(function: F) -> F:
        function.__dict__["together"] = several
        return function

    return state


def check_needs(function: Callable[..., Any], scan: Scan) -> None:
    """Raises what the first need does that ``scan`` (with its grid) does not meet."""
    for need in getattr(function, "needs", ()):
        need(scan)


def inversion_formula(scan: Scan) -> None:
    """A geometry with a formula for filtered back projection. Raises InputError, GeometryError."""
    if scan.geometry is None or scan.grid is None:
        raise InputError(f"{scan.source} has no geometry, which FBP needs; use another --method")
    inversion(scan.geometry, scan.grid)


def counts_and_white(scan: Scan) -> None:
    """What the detector counted, not below zero, and would have without an object. Raises InputError."""
    if scan.counts is None or scan.white is None:
        raise InputError(
            f"{scan.source} has no counts and white field, which --energy poisson needs; use --energy least-squares"
        )
    if float(scan.counts.min()) < 0:
        raise InputError(
            f"{scan.source} has counts below zero ({scan.counts.min():.4g}), which no Poisson law gives; use --energy "
            "least-squares"
        )
