"""Every command that there is, by its words."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ctrecon.cli.main import cli


def _leaves(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from _leaves(found, (*above, name))
        else:
            yield " ".join((*above, name)), found


COMMANDS = dict(_leaves(cli))
