"""Public functions say in sections what they take, give and raise, so that a site can be made of them.

What ``import ctrecon`` offers and every name of ``docs/api.md`` has them, and every public method of these classes and
of those that the site describes beside them. An override that adds nothing has no docstring of its own: pages then show
the one of the method that it overrides.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_api_page import NAMES, PAGE, resolve

import ctrecon

sys.path.insert(0, str(PAGE.parent / "extensions"))

from reference import beside, promised


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


def invented(function: Callable[..., Any]) -> set[str]:
    """The arguments that a docstring tells of and the function does not take."""
    told = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(function) or "", re.M)
    names = re.findall(r"^    \*{0,2}(\w+)(?: \([^)]*\))?:", told[1], re.M) if told else []
    code = inspect.unwrap(function).__code__
    stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars]  # also where a signature is stated
    return set(names) - {*inspect.signature(function).parameters, *taken}


def raises(function: Callable[..., Any]) -> bool:
    """Whether its own body raises."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def methods_of(cls: type) -> dict[str, Callable[..., Any]]:
    """The public functions that a class has from classes of this package, by the names of these.

    But for what only serves torch's own interface, and fields that hold a function.
    """
    of_torch = set(dir(torch.nn.Module)) - {"forward"} if issubclass(cls, torch.nn.Module) else set()
    return {
        f"{base.__module__}.{base.__qualname__}.{name}": function
        for base in cls.__mro__ if base.__module__.startswith(("ctrecon.", "test_"))
        for name, raw in vars(base).items() if not name.startswith("_") and name not in of_torch
        if inspect.isfunction(function := getattr(raw, "__func__", raw)) and function.__name__ != "<lambda>"
    }  # fmt: skip


def functions_of(thing: Any, name: str) -> dict[str, Callable[..., Any]]:
    """A function itself, or the public methods of a class."""
    if inspect.isclass(thing):
        return methods_of(thing)
    function = getattr(thing, "__func__", thing)
    return {name: function} if inspect.isfunction(function) else {}


FRONT = {
    name: one for public in sorted(dir(ctrecon))
    for name, one in functions_of(getattr(ctrecon, public), public).items()
}  # fmt: skip


def site() -> dict[str, Callable[..., Any]]:
    """All functions that the site describes: those of the page of names, and of what these take and give."""
    listed = [*NAMES, *(name for names in beside(promised(PAGE)).values() for name in names)]
    return {name: one for public in listed for name, one in functions_of(resolve(public), public).items()}


@pytest.mark.parametrize("name", sorted(FRONT))
def test_the_front_door_is_complete(name: str) -> None:
    assert lacking(FRONT[name]) == []


def test_the_site_is_complete() -> None:
    functions = site()
    found = {name: sections for name, one in functions.items() if (sections := lacking(one))}
    assert found == {}, "write these sections"
    assert {name: more for name, one in functions.items() if (more := invented(one))} == {}
    assert len(functions) > 450


def test_methods_of_every_kind_count() -> None:
    from ctrecon.energies.least_squares import LeastSquares
    from ctrecon.geometry.vector_geometry import VectorGeometry

    names = {name.rpartition(".")[2] for name in methods_of(VectorGeometry)}
    assert {"of", "from_vectors", "views", "to_dict"} <= names
    assert LeastSquares.at.__doc__ is None, "it has that of Energy.at"
    assert lacking(LeastSquares.at) == []


def test_a_method_without_would_be_noticed() -> None:
    class Above:
        def said(self, x: int) -> int:
            """One.

            Args:
                x: a.

            Returns:
                b
            """
            return x

    class Below(Above):
        def bare(self, x: int) -> int:
            return x

        @classmethod
        def made(cls, x: int) -> int:
            """One line."""
            return x

    found = {name.rpartition(".")[2]: lacking(one) for name, one in methods_of(Below).items()}
    assert found == {"said": [], "bare": ["a docstring"], "made": ["Args", "Returns"]}


def test_it_would_be_noticed() -> None:
    def bare(x: int) -> int:
        """One line."""
        if x:
            raise ValueError("x")
        return x

    assert lacking(bare) == ["Args", "Returns", "Raises"]
    bare.__doc__ = "One.\n\nArgs:\n    x: a.\n\nReturns:\n    b\n\nRaises:\n    ValueError: c"
    assert lacking(bare) == []
    assert invented(bare) == set()
    bare.__doc__ = "One.\n\nArgs:\n    x: a.\n    y: b."
    assert invented(bare) == {"y"}
