"""Words for lengths and attenuation are made in one place: a scan in detector cells is nowhere said to be in mm."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ctrecon.measurement.units import CELLS, MM, UNKNOWN, units_of

PACKAGE = Path(__file__).parents[2] / "ctrecon"
# Where none of these stands, no string that is written in parts can give a unit, either.
MAYBE = re.compile(r"1/|\bper\b|\b[xy] in\b|\bdetector\b")
UNIT = re.compile(r"1/mm|per mm\b|1/cell|per (detector )?cell|\b[xy] in mm|detector cells")
# Words of a format, of a command's help, or about files of which only the one unit is possible.
FIXED = {
    "measurement/units.py": "where they are made",
    "certificates/feasible.py": "of the format", "certificates/verify.py": "of the format, which stands alone",
    "dicom": "CT in DICOM is in mm", "cli": "help texts", "io": "what a file may state",
    "outputs/series.py": "a series is in mm",
    "outputs/report/scale.py": "HU are of scans in mm",
}


def said(text: str) -> Iterator[tuple[int, str]]:
    """String constants that name a unit, docstrings apart."""
    if not MAYBE.search(text):
        return
    tree = ast.parse(text)
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
            if UNIT.search(node.value):
                yield node.lineno, node.value


def test_units_are_named_in_one_place() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name not in FIXED and name.split("/")[0] not in FIXED:
            found += [f"{name}:{line}: {words}" for line, words in said(path.read_text(encoding="utf-8"))]
    assert found == []


def test_it_would_be_noticed() -> None:
    assert list(said('"""A doc in 1/mm."""\nprint(f"{x:g} per mm")\n')) == [(2, " per mm")]
    assert list(said('label = "x in mm"')) == [(1, "x in mm")]


def test_the_words() -> None:
    assert units_of("mm") is MM
    assert units_of("cell") is CELLS
    assert units_of("cell", placed=False) is UNKNOWN
    assert MM.named("spacing_mm") == "spacing_mm"
    assert CELLS.named("spacing_mm") == "spacing_cells"
    assert CELLS.named("views") == "views"
