"""What only POSIX has is missed where it is used, in one line, and not at import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ctrecon
from ctrecon.dicom.network.queue import Limits, Queue
from ctrecon.errors import SettingError

POSIX_ONLY = ("fcntl", "resource", "pwd", "grp", "termios", "syslog", "readline", "pty", "tty", "posix")

IMPORT_ALL = f"""
import importlib, pkgutil, sys
import distributed  # its parts take what their system has
for name in {POSIX_ONLY!r}:
    if name != "posix":
        sys.modules[name] = None
import warnings
warnings.simplefilter("ignore")
import ctrecon
count = 0
for module in pkgutil.walk_packages(ctrecon.__path__, "ctrecon."):
    if module.name.endswith("with_parent"):
        continue
    importlib.import_module(module.name)
    count += 1
print(count)
"""


@pytest.mark.long
def test_every_module_imports_without_what_only_posix_has(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 200


def test_no_module_imports_it_at_its_top() -> None:
    """Also those that another library would hide by its own use."""
    import ast

    found = []
    for path in Path(ctrecon.__file__).parent.rglob("*.py"):
        text = path.read_text()
        for node in ast.parse(text).body if any(name in text for name in POSIX_ONLY) else ():
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: {name}" for name in names if name in POSIX_ONLY]
    assert not found


def test_a_queue_says_so_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(SettingError, match=r"locks files.*Linux or macOS"):
        Queue(tmp_path / "queue", Limits())
    assert not (tmp_path / "queue").exists()
