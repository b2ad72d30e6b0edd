"""A named pipe is refused by every command that takes a path, instead of waited for."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from all_commands import COMMANDS
from click.testing import CliRunner

from ctrecon.cli.help import Command
from ctrecon.cli.main import cli
from ctrecon.cli.pipes import refuse_pipes
from ctrecon.errors import InputError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "key.pem", 0o600)
    return tmp_path / "key.pem"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_of_every_command_is_looked_at(name: str, pipe: Path) -> None:
    command = COMMANDS[name]
    assert isinstance(command, Command)
    for one in command.params:
        if isinstance(one.type, click.Path):
            context = click.Context(command)
            for several in (pipe, (pipe.parent, pipe)):
                context.params = {one.name or "": several}
                with pytest.raises(InputError, match="is a named pipe"):
                    refuse_pipes(context)
            context.params = {one.name or "": pipe.parent}
            refuse_pipes(context)


def test_a_key_from_a_pipe_is_one_line(pipe: Path) -> None:
    echo = ("dicom", "echo", "--to", "A@127.0.0.1:1", "--tls-ca", pipe)
    for words in (("verify", pipe.parent, "--trusted", pipe), echo):
        result = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=True)
        assert isinstance(result.exception, SystemExit | InputError)
        assert "is a named pipe" in (result.output or str(result.exception))
