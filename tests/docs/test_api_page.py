"""Every name on the page of the Python interface exists and takes the parameters that are written there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
NAME = r"`(ctrecon(?:\.\w+)+)`"


def resolve(dotted: str) -> Any:
    """The object of a dotted name: the longest part that is a module, then attributes."""
    parts = dotted.split(".")
    found: Any = importlib.import_module(parts[0])
    for k, part in enumerate(parts[1:], start=1):
        if not hasattr(found, part):
            try:
                found = importlib.import_module(".".join(parts[: k + 1]))
                continue
            except ModuleNotFoundError:
                raise AttributeError(dotted) from None
        found = getattr(found, part)
    return found


def fits(parameters: str, thing: Any) -> bool:
    """The page may leave out optional parameters, but none that is needed, and may not invent or exchange any."""
    arguments = ast.parse(f"def f{parameters}: ...").body[0].args  # type: ignore[attr-defined]
    written = [(a.arg, False) for a in arguments.args] + [(a.arg, True) for a in arguments.kwonlyargs]
    real = {n: p for n, p in inspect.signature(thing).parameters.items() if n != "self"}
    is_keyword = {n: p.kind is p.KEYWORD_ONLY for n, p in real.items()}
    in_order = [n for n in real if n in dict(written)] == [n for n, _ in written]
    needed = {n for n, p in real.items() if p.default is p.empty}
    return in_order and needed <= set(dict(written)) and all(is_keyword[n] == keyword for n, keyword in written)


TEXT = PAGE.read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(NAME, TEXT)))
SIGNATURES = sorted(set(re.findall(NAME + r"\s+`(\([^`]*\))`", TEXT)))


def test_every_name_exists() -> None:
    assert len(NAMES) > 60
    missing = []
    for dotted in NAMES:
        try:
            resolve(dotted)
        except AttributeError:
            missing.append(dotted)
    assert not missing, missing


def test_every_signature_is_the_real_one() -> None:
    assert len(SIGNATURES) > 50
    assert not [dotted for dotted, parameters in SIGNATURES if not fits(parameters, resolve(dotted))]


def test_a_wrong_page_would_be_noticed() -> None:
    with pytest.raises(AttributeError):
        resolve("ctrecon.geometry.base.ConeBeam")
    with pytest.raises(AttributeError):
        resolve("ctrecon.cones.ConeBeam")

    def real(a: int, b: int = 0, *, c: int = 0) -> None: ...

    assert fits("(a, b=1, *, c=0)", real)
    assert fits("(a)", real)
    for wrong in ("(b=0)", "(a, x)", "(b, a)", "(a, b=0, c=0)"):
        assert not fits(wrong, real), wrong
