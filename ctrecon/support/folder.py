"""What the files of a folder are, without importing them: a new file is found without being written down anywhere.

Some folders hold one thing a file (commands, corrections). Such a file says of itself what a list would need to say of
it: its first line is its help, and plain constants at its top are read with it.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

_LAST = 1000


@cache
def members(package: str) -> tuple[str, ...]:
    """The files of a package, in the order of their names; those that begin with ``_`` are not counted.

    Args:
        package: Its full name; only the outermost package that it is in is imported.

    Returns:
        The names of its modules.
    """
    return tuple(sorted(name for name in _sources(package) if not name.startswith("_")))


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
        In the order of ``in_place``: of ``soft_parts.py`` a ``SoftParts()``.
    """
    found = ((importlib.import_module(f"{package}.{name}"), name) for name in in_place(package))
    return tuple(getattr(file, name.title().replace("_", ""))() for file, name in found)


@cache
def says(module: str) -> tuple[str, dict[str, Any]]:
    """What a file says of itself.

    Args:
        module: Its full name; it is not imported, nor is the package that it is in.

    Returns:
        The first line of its docstring (empty where there is none, or no source), and its constants by name: what is
        assigned to one name in capitals and is plain numbers and texts.
    """
    package, _, name = module.rpartition(".")
    tree = ast.parse(_sources(package).get(name, ""))
    constants: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            try:
                constants |= {name: ast.literal_eval(node.value)} if name.isupper() else {}
            except ValueError:
                continue
    return (ast.get_docstring(tree) or "").partition("\n")[0], constants


@cache
def _sources(package: str) -> dict[str, str]:
    """The text of each file of a package by its name, "" where there is none."""
    outermost, *rest = package.split(".")
    folders = [str(Path(folder, *rest)) for folder in importlib.import_module(outermost).__path__]
    texts = {}
    for one in pkgutil.iter_modules(folders):
        if not one.ispkg:
            spec = one.module_finder.find_spec(one.name, None)
            read = getattr(None if spec is None else spec.loader, "get_source", None)
            texts[one.name] = (read(one.name) if read is not None else None) or ""
    return texts
