"""Beside somebody else's package of the same name nothing is begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctrecon.errors import SettingError
from ctrecon.support.alone import check_alone


@pytest.mark.parametrize("name", ["ctrecon-0.2.0.dist-info", "ctrecon-0.2.0-py3.11.egg-info", "CtRecon-1.dist-info"])
def test_the_other_package_is_named_with_its_version_and_the_remedy(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SettingError) as caught:
        check_alone([str(tmp_path / "gone"), str(tmp_path)])
    assert f"(version {'1' if 'CtRecon' in name else '0.2.0'})" in str(caught.value)
    assert "pip uninstall ctrecon ctrecon-edn" in str(caught.value)


def test_ours_and_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("ctrecon_edn-1.0.0.dist-info", "ctrecon_edn.egg-info", "ctrecon", "ctrecons-1.0.dist-info"):
        (tmp_path / name).mkdir()
    check_alone([str(tmp_path), "", str(tmp_path / "a.zip")])


def test_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ctrecon-0.2.0.dist-info").mkdir()
    search = os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])
    run = subprocess.run(
        [sys.executable, "-m", "ctrecon.cli.main", "--version"], env={**os.environ, "PYTHONPATH": search},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.startswith("ctrecon: another package called ctrecon (version 0.2.0) is installed in ")
    assert run.stderr.count("\n") == 1
