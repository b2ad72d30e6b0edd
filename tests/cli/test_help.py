"""Every command's help has an example that fits its options, and long lists of options are in groups."""

from __future__ import annotations

import shlex

import click
import pytest
from all_commands import COMMANDS
from click.testing import CliRunner

from ctrecon.cli.commands.reconstruct import GROUPS
from ctrecon.cli.help import OTHER, SHARED, Command
from ctrecon.cli.main import cli


def parsed(command: click.Command, words: list[str]) -> list[str]:
    """The words that no option took; raises where one is unknown. Nothing is opened."""
    _, rest, _ = command.make_parser(click.Context(command)).parse_args(list(words))
    return rest


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_has_an_example_that_its_options_take(name: str) -> None:
    command = COMMANDS[name]
    assert isinstance(command, Command)
    assert command.examples
    said = CliRunner().invoke(cli, [*name.split(), "--help"]).output
    for line in command.examples:
        assert f"  {line}\n" in said, "as one line, to be copied"
        words = shlex.split(line)
        assert words[: 1 + len(name.split())] == ["ctrecon", *name.split()]
        parsed(command, words[1 + len(name.split()) :])
        given = set(words)
        needed = [one for one in command.params if isinstance(one, click.Option) and one.required]
        assert all(given & set(one.opts) for one in needed)


def test_an_example_with_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed(COMMANDS["info"], ["scan.npz", "--no-such-option"])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_stands_in_one_group(name: str) -> None:
    command = COMMANDS[name]
    assert isinstance(command, Command)
    groups = command.grouped(click.Context(command))
    shown = [one.name for options in groups.values() for one in options]
    options = [one.name for one in command.get_params(click.Context(command)) if isinstance(one, click.Option)]
    assert sorted(map(str, shown)) == sorted(map(str, options))


def test_reconstruct_has_its_options_in_groups() -> None:
    command = COMMANDS["reconstruct"]
    assert isinstance(command, Command)
    groups = command.grouped(click.Context(command))
    assert list(groups)[: len(GROUPS)] == list(GROUPS)
    left = [one.name for one in groups[OTHER] if "--help" not in one.opts]
    assert left == [], "put it into a group of ctrecon/cli/commands/reconstruct.py"
    named = [name for names in (*GROUPS.values(), *SHARED.values()) for name in names]
    assert len(named) == len(set(named))
    said = CliRunner().invoke(cli, ["reconstruct", "--help"]).output.split("\n")
    assert {f"{title}:" for title in GROUPS} <= set(said)
