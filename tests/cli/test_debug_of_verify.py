"""``--debug`` shows where a refusal came from, of ``verify`` as of every command."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ctrecon.cli.main import cli


def test_verify_shows_where_with_debug(tmp_path: Path) -> None:
    broken = tmp_path / "u.certificate.json"
    broken.write_text('{"format": "none"}')
    plain = CliRunner().invoke(cli, ["verify", str(broken)])
    shown = CliRunner().invoke(cli, ["verify", str(broken), "--debug"])
    assert plain.exit_code == shown.exit_code == 1
    assert "Traceback" not in plain.output
    assert "Traceback" in shown.stderr
    assert "in check" in shown.stderr
    assert plain.stdout == shown.stdout
