"""No private member of another library is used: the bounds in pyproject.toml are open, and only public names stay."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ctrecon

PACKAGE = Path(ctrecon.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Private by its name alone; each is in the library's own documentation as the way to do this.
DOCUMENTED = {
    "pynetdicom._config",  # its reference lists the settings of this module
    "_replace", "_asdict", "_fields",  # of named tuples, in Python's own documentation
}  # fmt: skip


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(trees: list[ast.Module]) -> set[str]:
    """Private names that the package itself gives: functions, classes, fields, attributes and variables."""
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                    found.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return {name for name in found if is_private(name)}


def foreign(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """Private members of others, as ``line: what``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if module.split(".")[0] == "ctrecon" or getattr(node, "level", 0):
                continue
            for alias in node.names:
                path = f"{module}.{alias.name}".strip(".")
                if any(is_private(part) for part in path.split(".")) and path not in DOCUMENTED:
                    yield f"{node.lineno}: import of {path}"
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr not in own and node.attr not in DOCUMENTED:
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            if node.func.id in ("getattr", "setattr", "hasattr", "delattr") and isinstance(node.args[1], ast.Constant):
                name = str(node.args[1].value)
                if is_private(name) and name not in own:
                    yield f"{node.lineno}: {ast.unparse(node)}"


def test_none_is_used() -> None:
    trees = {path: ast.parse(path.read_text()) for path in FILES}
    own = own_names(list(trees.values()))
    found = [f"{path.relative_to(PACKAGE)}:{one}" for path, tree in trees.items() for one in foreign(tree, own)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "from dicomweb_client.web import _Transaction", "import pydicom._uid_dict", "from pydicom._dicom_dict import D",
        "client._http_get(url)", "ae._servers.append(server)", "getattr(client, '_timeout')", "client._timeout = 3",
        "import torch\ntorch._C.f()",
    ],
)
def test_what_was_used_once_would_be_found(code: str) -> None:
    tree = ast.parse(code)
    assert list(foreign(tree, own_names([tree])))


def test_ones_own_are_not_meant() -> None:
    code = "class A:\n    def _f(self): self._x = 1\n\na._f()\na._x\nfrom ctrecon.cli.main import _refuse\nb.__class__"
    tree = ast.parse(code)
    assert not list(foreign(tree, own_names([tree])))
