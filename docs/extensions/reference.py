"""The pages of the Python reference: every name that `docs/api.md` promises, from its docstring.

A page for the front door, and one for each room. What the front door offers is described there alone; its room has a
line that leads there. Methods that the page of names lists stand with their class, as all public methods do.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import ctrecon

NAME = re.compile(r"`(ctrecon(?:\.\w+)+)`")
FRONT = "ctrecon"


def resolve(dotted: str) -> Any:
    """The object of a dotted name: the longest part that is a module, then attributes."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AttributeError(dotted)


def promised(page: Path) -> dict[str, list[str]]:
    """The names of the page of the Python interface by room; those of the front door under ``ctrecon``."""
    offered = [name for name in ctrecon.__all__ if name not in ("errors", "__version__")]
    functions_first = sorted(offered, key=lambda name: name[0].isupper())
    rooms: dict[str, list[str]] = {FRONT: [f"ctrecon.{name}" for name in functions_first]}
    for name in sorted(set(NAME.findall(page.read_text(encoding="utf-8")))):
        room = name.split(".")[1]
        if room not in ctrecon.__all__ or room == "errors":
            rooms.setdefault(room, []).append(name)
    return rooms


def entries(names: list[str], doors: dict[int, str]) -> Iterator[str]:
    """The directives that describe names. A method stands with its class."""
    for name in names:
        thing = resolve(name)
        if inspect.ismodule(thing) or inspect.isclass(resolve(name.rpartition(".")[0])):
            continue
        if (door := doors.get(id(thing), name)) != name:
            yield f"``{name}``\n    Described at the front door: :py:obj:`{door}`.\n"
        elif inspect.isclass(thing):
            yield f".. autoclass:: {name}\n    :members:\n"
        elif inspect.isroutine(thing):
            yield f".. autofunction:: {name}\n"
        else:
            yield f".. autodata:: {name}\n    :no-value:\n"


def title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def files_of(room: str) -> Iterator[str]:
    """A line for each file of a room: what it is about, from the first line of its docstring."""
    package = importlib.import_module(f"ctrecon.{room}")
    if not hasattr(package, "__path__"):
        return
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if any(part.startswith("_") for part in found.name.split(".")):
            continue
        said = inspect.getdoc(importlib.import_module(found.name)) or ""
        yield f"   * - ``{found.name}``\n     - {said.split(chr(10))[0]}"


def page_of(room: str, names: list[str], doors: dict[int, str]) -> str:
    """The text of a room's page."""
    package = importlib.import_module(f"ctrecon.{room}" if room != FRONT else FRONT)
    said = (inspect.getdoc(package) or "").split("\n")[0]
    name = f"ctrecon.{room}" if room != FRONT else "import ctrecon as ct"
    parts = [title(name, "="), said, "", *entries(names, doors)]
    if room != FRONT and (files := list(files_of(room))):
        parts += [
            title("Files", "-"), "What each file is about; what stands above is what is promised.\n",
            ".. list-table::\n   :widths: 40 60\n", *files, "",
        ]  # fmt: skip
    return "\n".join(parts)


def write(path: Path, text: str) -> None:
    """Only what changed, so that only that is read again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(app: Sphinx) -> None:
    rooms = promised(Path(app.srcdir) / "api.md")
    doors = {id(resolve(name)): name for name in rooms[FRONT] if not isinstance(resolve(name), str)}
    folder = Path(app.srcdir) / "reference" / "python"
    for room, names in rooms.items():
        write(folder / f"{room}.rst", page_of(room, names, doors))
    others = sorted(set(rooms) - {FRONT})
    write(folder / "index.rst", "\n".join([
        title("Python", "="), "What :doc:`the page of the interface </api>` promises, from the docstrings.\n",
        ".. toctree::\n   :maxdepth: 1\n", f"   {FRONT}", *(f"   {room}" for room in others), "",
    ]))  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", generate, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
