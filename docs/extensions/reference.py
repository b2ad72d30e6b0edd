"""The pages of the Python reference: every name that `docs/api.md` promises, from its docstring.

A page for the front door, and one for each room. What the front door offers is described there alone; its room has a
line that leads there. Methods that the page of names lists stand with their class, as all public methods do.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctrecon

if TYPE_CHECKING:
    from sphinx.application import Sphinx

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


def types_of(thing: Any) -> set[type]:
    """The classes of this package in the annotations of a function, or of a class and its methods, and its bases."""
    if inspect.isclass(thing):
        below = [one for name, one in vars(thing).items() if not name.startswith("_")]
        annotated = [thing, getattr(thing, "__init__", None), *(getattr(one, "fget", one) for one in below)]
    else:
        annotated = [thing]
    found = {base for base in getattr(thing, "__bases__", ()) if base.__module__.startswith("ctrecon.")}
    for one in annotated:
        space = vars(sys.modules.get(getattr(one, "__module__", ""), None) or sys)
        for annotation in (*getattr(one, "__annotations__", {}).values(), *getattr(one, "__orig_bases__", ())):
            named = (space.get(word) for word in re.findall(r"\w+", str(annotation)))
            found |= {each for each in named if inspect.isclass(each) and each.__module__.startswith("ctrecon.")}
    return found


def beside(rooms: dict[str, list[str]]) -> dict[str, list[str]]:
    """By room the classes that promised names take and give, and those that these do, where no page has them yet."""
    known = {resolve(name) for names in rooms.values() for name in names if inspect.isclass(resolve(name))}
    waiting = [resolve(name) for names in rooms.values() for name in names]
    found: dict[str, list[str]] = {}
    while waiting:
        for each in sorted(types_of(waiting.pop()) - known, key=lambda one: one.__qualname__):
            known.add(each)
            waiting.append(each)
            if "." not in each.__qualname__ and not each.__name__.startswith("_"):
                found.setdefault(each.__module__.split(".")[1], []).append(f"{each.__module__}.{each.__qualname__}")
    return {room: sorted(names) for room, names in found.items()}


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


def page_of(room: str, names: list[str], types: list[str], doors: dict[int, str]) -> str:
    """The text of a room's page."""
    package = importlib.import_module(f"ctrecon.{room}" if room != FRONT else FRONT)
    said = (inspect.getdoc(package) or "").split("\n")[0]
    name = f"ctrecon.{room}" if room != FRONT else "import ctrecon as ct"
    parts = [title(name, "="), said, "", *entries(names, doors)]
    if types:
        parts += [title("What these take and give", "-"), *entries(types, doors)]
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
    types = beside(rooms)
    for room in {**rooms, **types}:
        write(folder / f"{room}.rst", page_of(room, rooms.get(room, []), types.get(room, []), doors))
    others = sorted({*rooms, *types} - {FRONT})
    write(folder / "index.rst", "\n".join([
        title("Python", "="), "What :doc:`the page of the interface </api>` promises, from the docstrings.\n",
        ".. toctree::\n   :maxdepth: 1\n", f"   {FRONT}", *(f"   {room}" for room in others), "",
    ]))  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", generate, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
