"""The rule of imports bites: a deliberate arrow back is refused, at the top of a file and inside a function."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
lint = Path(sys.executable).with_name("lint-imports")
pytestmark = pytest.mark.skipif(not lint.exists(), reason="import-linter is not installed")


def verdict(folder: Path, places: dict[str, str]) -> str:
    """What import-linter says of a copy of the package with lines added to some files."""
    shutil.copytree(ROOT / "ctrecon", folder / "ctrecon", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, line in places.items():
        path = folder / "ctrecon" / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{line}\n")
    call = [str(lint), "--no-cache"]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": "."}).stdout


def test_arrows_back_and_unknown_rooms_are_refused(tmp_path: Path) -> None:
    said = verdict(tmp_path, {
        "geometry/fan.py": "from ctrecon.measurement.scan import Scan",
        "operators/joseph.py": "def late():\n    from ctrecon.cli.main import cli\n    return cli",
        "newroom/__init__.py": "",
    })  # fmt: skip
    assert "BROKEN" in said
    assert "ctrecon.geometry.fan -> ctrecon.measurement.scan" in said
    assert "ctrecon.operators.joseph -> ctrecon.cli.main" in said


def test_a_room_that_no_layer_names_is_refused(tmp_path: Path) -> None:
    assert "newroom" in verdict(tmp_path, {"newroom/__init__.py": ""})


def test_the_rooms_at_the_top_are_few() -> None:
    """Folders and files of the package itself: somebody who comes anew looks through them once."""
    places = (ROOT / "ctrecon").iterdir()
    rooms = {one.name for one in places if one.suffix == ".py" or (one / "__init__.py").exists()}
    assert {"__init__.py", "errors.py", "geometry", "cli"} <= rooms
    assert len(rooms) <= 25, sorted(rooms)


def test_the_house_as_it_stands_is_in_order(tmp_path: Path) -> None:
    said = verdict(tmp_path, {})
    assert "BROKEN" not in said
    assert "KEPT" in said
