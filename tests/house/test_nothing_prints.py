"""Nothing prints from the library: only commands talk, and long jobs tell one value to whoever listens."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "ctrecon"
# One stands alone as a program, which prints what it found; one keeps a library from printing; one is a node's log.
ALONE = {"certificates/verify.py": "main", "io/itk_files.py": "silent", "dicom/network/log.py": "_to_standard_error"}
TALKS = {"print", "echo", "secho", "Console", "tqdm"}


def talking(text: str, apart: str = "") -> list[int]:
    """Lines that write to a terminal; those of the function ``apart`` do not count. Most texts have no such word."""
    if not any(word in text for word in (*TALKS, "stdout", "stderr")):
        return []
    tree = ast.parse(text)
    excused = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == apart
        for inner in ast.walk(node)
    }  # fmt: skip
    found = []
    for node in ast.walk(tree):
        if id(node) in excused:
            continue
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in TALKS:
                found.append(node.lineno)
        if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and ast.unparse(node.value) == "sys":
            found.append(node.lineno)
    return found


def test_nothing_prints_from_the_library() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("cli/"):
            found += [f"{name}:{line}" for line in talking(path.read_text(encoding="utf-8"), ALONE.get(name, ""))]
    assert found == []


def test_commands_have_no_bars_of_their_own() -> None:
    """All go by ``cli/progress.py``."""
    own = [
        path.name for path in sorted((PACKAGE / "cli").glob("*.py"))
        if path.name != "progress.py" and any(word in path.read_text() for word in ("rich.progress", "rich.console"))
    ]  # fmt: skip
    assert own == []


def test_it_would_be_noticed() -> None:
    assert talking("print(1)") == [1]
    assert talking("import sys\nsys.stderr.write('x')") == [2]
    assert talking("def main():\n    print(1)\n", "main") == []
    assert talking("tqdm.tqdm(x)") == [1]
