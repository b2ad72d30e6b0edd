"""One file, one idea: none is long, but the checker of certificates, which stands alone in one file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 350
ALONE = "ctrecon/certificates/verify.py"


def too_long(paths: Iterable[Path], root: Path) -> dict[str, int]:
    """The files with more lines than a file of one idea has, and how many they have."""
    lines = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in paths}
    return {name: count for name, count in lines.items() if count > LONGEST and name != ALONE}


def test_no_file_is_long() -> None:
    paths = [path for place in ("ctrecon", "tests", "docs") for path in (ROOT / place).rglob("*.py")]
    assert len(paths) > 700
    assert too_long(paths, ROOT) == {}, "split them by idea"


def test_a_long_file_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("\n" * LONGEST)
    (tmp_path / "b.py").write_text("\n" * (LONGEST + 1))
    assert too_long(tmp_path.iterdir(), tmp_path) == {"b.py": LONGEST + 1}
