"""The pages of the command line: every command with every option, from what `ctrecon COMMAND --help` is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from reference import title, write
from sphinx.application import Sphinx

from ctrecon.cli.help import Command
from ctrecon.cli.main import cli


def escaped(text: str) -> str:
    """Plain words of a help text for reStructuredText; what stands in backticks stays code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"`{part}`" if part.startswith("`") else re.sub(r"([*|_\\])", r"\\\1", part) for part in parts
    ).replace("``", "`")


def linked(text: str) -> str:
    """Names of pages as code, which `page_links` makes links of."""
    return re.sub(r"(?<!`)(docs/\w+\.md(?:#[\w-]+)?)(?!`)", r"`\1`", text)


def paragraphs(text: str) -> str:
    return escaped(linked(text.replace("\b", "").strip()))


def option(parameter: click.Option, context: click.Context) -> str:
    """One option: its names, its value, what it does, its default."""
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    names, said = record
    return f".. option:: {names}\n\n   {paragraphs(' '.join(said.split()))}\n"


def sections(command: click.Command, context: click.Context) -> Iterator[str]:
    """The options, in the groups of the help where it has some."""
    if isinstance(command, Command):
        groups = command.grouped(context)
    else:
        groups = {"": [one for one in command.get_params(context) if isinstance(one, click.Option)]}
    for name, members in groups.items():
        if name and len(groups) > 1:
            yield f".. rubric:: {name}\n"
        yield from filter(None, (option(one, context) for one in members))


def described(name: str, command: click.Command, parent: click.Context | None, line: str) -> Iterator[str]:
    """A command and the commands below it."""
    context = click.Context(command, info_name=name, parent=parent)
    path = context.command_path
    usage = " ".join(command.collect_usage_pieces(context))
    yield title(path, line)
    yield f".. program:: {path}\n"
    yield f".. code-block:: none\n\n   {path} {usage}\n"
    yield paragraphs("\n".join(part.strip() for part in (command.help or "").split("\n"))) + "\n"
    if isinstance(command, Command) and command.examples:
        yield ".. code-block:: sh\n\n" + "".join(f"   {example}\n" for example in command.examples)
    yield from sections(command, context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None, below
            yield from described(below, found, context, "-")


def generate(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference" / "commands"
    root = click.Context(cli, info_name="ctrecon")
    names = cli.list_commands(root)
    for name in names:
        command = cli.get_command(root, name)
        assert command is not None, name
        write(folder / f"{name}.rst", "\n".join(described(name, command, root, "=")))
    rows = "\n".join(f"   * - :doc:`{name}`\n     - {type(cli).help_of(name)}" for name in names)
    write(folder / "index.rst", "\n".join([
        title("Commands", "="), 
        "Every command with every option, as ``ctrecon COMMAND --help`` says it in a terminal.\n",
        f".. list-table::\n   :widths: 30 70\n\n{rows}\n",
        ".. toctree::\n   :hidden:\n", *(f"   {name}" for name in names), "",
    ]))  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", generate, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
