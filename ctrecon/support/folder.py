"""What the files of a folder are, without importing them: a new file is found without being written down anywhere.

Some folders hold one thing a file (commands, corrections). Such a file says of itself what a list would need to say of
it: its first line is its help, and plain constants at its top are read with it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from functools import cache
from typing import Any

_LAST = 1000


@cache
def members(package: str) -> tuple[str, ...]:
    """The files of a package, in the order of their names; those that begin with ``_`` are not counted.

    Args:
        package: Its full name.

    Returns:
        The names of its modules.
    """
    path = importlib.import_module(package).__path__
    found = (one.name for one in pkgutil.iter_modules(path) if not one.ispkg)
    return tuple(sorted(name for name in found if not name.startswith("_")))


@cache
def in_place(package: str) -> tuple[str, ...]:
    """The files of a package in the order that they ask for.

    Args:
        package: Its full name.

    Returns:
        The names of its modules: by the constant ``PLACE`` of each, those without one at the end, by their names.
    """
    return tuple(sorted(members(package), key=lambda name: says(f"{package}.{name}")[1].get("PLACE", _LAST)))


def one_of_each(package: str) -> tuple[Any, ...]:
    """Of a package whose files hold one class each, an instance of each class.

    Args:
        package: Its full name.

    Returns:
        In the order of ``in_place``: of ``head_in_space.py`` a ``HeadInSpace()``.
    """
    found = ((importlib.import_module(f"{package}.{name}"), name) for name in in_place(package))
    return tuple(getattr(file, name.title().replace("_", ""))() for file, name in found)


@cache
def says(module: str) -> tuple[str, dict[str, Any]]:
    """What a file says of itself.

    Args:
        module: Its full name; the package that it is in is imported, it is not.

    Returns:
        The first line of its docstring (empty where there is none, or no source), and its constants by name: what is
        assigned to one name in capitals and is plain numbers and texts.
    """
    spec = importlib.util.find_spec(module)
    read = getattr(None if spec is None else spec.loader, "get_source", None)
    source = None if read is None else read(module)
    tree = ast.parse(source or "")
    constants: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            try:
                constants |= {name: ast.literal_eval(node.value)} if name.isupper() else {}
            except ValueError:
                continue
    return (ast.get_docstring(tree) or "").partition("\n")[0], constants
