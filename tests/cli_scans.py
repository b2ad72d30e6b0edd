"""Small scans for the tests of commands, and the commands called in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from ctrecon.cli.main import cli


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)


def simulated(path: Path, size: int = 48, views: int = 40) -> Path:
    """A head with noise of 2%, at ``path``."""
    made = run("simulate", "--phantom", "head", "--size", size, "--views", views, "--noise", "2%", "-o", path)
    assert made.exit_code == 0, made.output
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
