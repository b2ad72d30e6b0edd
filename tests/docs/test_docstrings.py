"""Public functions say in sections what they take, give and raise, so that a site can be made of them.

What ``import ctrecon`` offers and every name of ``docs/api.md`` has them.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from test_api_page import NAMES, resolve

import ctrecon


def lacking(function: Callable[..., Any]) -> list[str]:
    """The sections that a function should have and has not."""
    said, signature = inspect.getdoc(function) or "", inspect.signature(function)
    if not said:
        return ["a docstring"]
    wanted = {
        "Args": any(name not in ("self", "cls") for name in signature.parameters),
        "Returns": signature.return_annotation not in (None, "None", inspect.Signature.empty),
        "Raises": raises(function),
    }
    found = {"Args": "Args", "Returns": "Returns|Yields", "Raises": "Raises"}
    return [name for name, needed in wanted.items() if needed and not re.search(f"^({found[name]}):$", said, re.M)]


def raises(function: Callable[..., Any]) -> bool:
    """Whether its own body raises."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def functions_of(thing: Any, name: str) -> dict[str, Callable[..., Any]]:
    """A function itself, or the public methods that a class of this package writes."""
    if inspect.isfunction(thing):
        return {name: thing}
    if not inspect.isclass(thing):
        return {}
    own = {k: v for k, v in vars(thing).items() if inspect.isfunction(v) and not k.startswith("_")}
    return {f"{name}.{k}": v for k, v in own.items()}


FRONT = {
    name: one for public in sorted(dir(ctrecon))
    for name, one in functions_of(getattr(ctrecon, public), public).items()
}  # fmt: skip


PAGE = {name: thing for name in NAMES if inspect.isfunction(thing := resolve(name))}


@pytest.mark.parametrize("name", sorted(FRONT))
def test_the_front_door_is_complete(name: str) -> None:
    assert lacking(FRONT[name]) == []


def test_the_page_of_names_is_complete() -> None:
    found = {name: sections for name, thing in PAGE.items() if (sections := lacking(thing))}
    assert found == {}, "write these sections"
    assert len(PAGE) > 150


def test_it_would_be_noticed() -> None:
    def bare(x: int) -> int:
        """One line."""
        if x:
            raise ValueError("x")
        return x

    assert lacking(bare) == ["Args", "Returns", "Raises"]
    bare.__doc__ = "One.\n\nArgs:\n    x: a.\n\nReturns:\n    b\n\nRaises:\n    ValueError: c"
    assert lacking(bare) == []
