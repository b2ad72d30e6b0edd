"""Named pipes among the arguments: whoever opens one waits for ever where nobody writes to it."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.errors import InputError

# What a shell puts in the place of <(command) has its writer already, and ends.
_OF_A_SHELL = ("/dev/fd/", "/proc/self/fd/", "/dev/std")


def refuse_pipes(ctx: click.Context) -> None:
    """Look at every argument that is a path, before anything is opened.

    Args:
        ctx: Of a command whose arguments are known.

    Raises:
        InputError: For a named pipe.
    """
    for one in ctx.command.get_params(ctx):
        if not isinstance(one.type, click.Path):
            continue
        given = ctx.params.get(one.name or "")
        for value in given if isinstance(given, tuple | list) else [given]:
            path = None if value is None else Path(str(value))
            if path is not None and not str(path).startswith(_OF_A_SHELL) and path.is_fifo():
                raise InputError(f"{path}: is a named pipe, for which nobody waits here; give a file")
