"""A group of commands, each in a file of its own, of which only the one that runs is imported."""

from __future__ import annotations

import importlib
from typing import ClassVar

import click

from ctrecon.support.folder import members, says


class LazyGroup(click.Group):
    """The commands of a folder. A file is a command by being there; the first line of its docstring is its help."""

    folder: ClassVar[str]
    """The package whose files are the commands; ``train_peer.py`` is ``train-peer``."""
    first: ClassVar[tuple[str, ...]] = ()
    """What the help lists first, in this order; all others follow by name."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Every command, in the order of the help."""
        found = [name.replace("_", "-") for name in members(cls.folder)]
        return (*(name for name in cls.first if name in found), *(name for name in found if name not in cls.first))

    @classmethod
    def help_of(cls, name: str) -> str:
        """The line of help of a command, read without importing it."""
        return says(cls._module(name))[0]

    @classmethod
    def _module(cls, name: str) -> str:
        return f"{cls.folder}.{name.replace('-', '_')}"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.names():
            return None
        command: click.Command = importlib.import_module(self._module(cmd_name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.help_of(name)) for name in self.names()])
