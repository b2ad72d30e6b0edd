"""Beside somebody else's package of the same name nothing is begun, whichever was installed last."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ctrecon.cli import ctrecon_edn
from ctrecon.cli.ctrecon_edn import other_package

OURS = Path(ctrecon_edn.__file__)


@pytest.mark.parametrize("name", ["ctrecon-0.2.0.dist-info", "ctrecon-0.2.0-py3.11.egg-info", "CtRecon-1.dist-info"])
def test_the_other_package_is_named_with_its_version_and_the_remedy(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    said = other_package([str(tmp_path / "gone"), str(tmp_path)])
    assert said is not None
    assert f"(version {'1' if 'CtRecon' in name else '0.2.0'})" in said
    assert "pip uninstall ctrecon ctrecon-edn" in said


def test_ours_and_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("ctrecon_edn-1.0.0.dist-info", "ctrecon_edn.egg-info", "ctrecon", "ctrecons-1.0.dist-info"):
        (tmp_path / name).mkdir()
    assert other_package([str(tmp_path), "", str(tmp_path / "a.zip")]) is None


@pytest.mark.parametrize("how", ["ours last", "theirs last", "theirs removed"])
def test_the_command_says_so_in_one_line(how: str, tmp_path: Path) -> None:
    (tmp_path / "ctrecon" / "phantoms").mkdir(parents=True)
    shutil.copy(OURS, tmp_path)
    if how == "theirs removed":
        expected = f"ctrecon: {tmp_path / 'ctrecon' / '__init__.py'} is missing: "
    else:
        (tmp_path / "ctrecon-0.2.0.dist-info").mkdir()
        (tmp_path / "ctrecon" / "__init__.py").write_text("raise NameError('theirs')" * (how == "theirs last"))
        expected = "ctrecon: another package called ctrecon (version 0.2.0) is installed in "
    words = [sys.executable, "-c", "import ctrecon_edn; ctrecon_edn.main()", "--version"]
    run = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.startswith(expected)
    assert run.stderr.count("\n") == 1


def test_alone_it_is_the_command() -> None:
    run = subprocess.run([sys.executable, str(OURS), "--version"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("ctrecon")
